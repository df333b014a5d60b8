// Usage: count_allocations PROGRAM [PLUGIN ...]. Runs every method twice, at its longest; prints how many allocations
// there were between plan and the end of the last run. Fails if there were any.
#include "allocations.hpp"
#include "support.hpp"

using namespace quoin;

int main(int argc, char** argv) {
  if (argc < 2) testing::die("usage: count_allocations PROGRAM [PLUGIN ...]");
  std::vector<quoin_plugin_entry_fn> plugins;
  for (int i = 2; i < argc; ++i) plugins.push_back(testing::entry_of(argv[i]));
  rt::Error error;
  const rt::Engine engine = testing::engine_with(plugins);
  const rt::Program program = engine.open(argv[1], {}, error);
  if (!program) testing::die(error);
  rt::Instance instance = program.instance({}, error);
  if (!instance) testing::die(error);
  std::vector<testing::Buffers> buffers;
  for (uint32_t method = 0; method < program.methods(); ++method) buffers.emplace_back(program, method);
  if (!instance.plan({}, error)) testing::die(error);
  const unsigned long before = testing::allocations;
  bool ran = true;
  for (int round = 0; round < 2; ++round)
    for (uint32_t method = 0; method < program.methods() && ran; ++method) {
      quoin_run_options how{};
      how.method = method;
      ran = instance.run(buffers[method].inputs, buffers[method].outputs, how, error);
    }
  const unsigned long count = testing::allocations - before;
  if (!ran) testing::die(error);
  std::printf("%lu allocations between plan and the end of the last run, %lu before\n", count, before);
  return count == 0 && before != 0 ? 0 : 1;
}
