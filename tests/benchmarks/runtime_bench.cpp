// Usage: runtime_bench PROGRAM [PLUGIN ...]. Time from a file in the page cache to a planned instance, the first run
// beside later ones, and resident memory, of libquoin_runtime with weights on trust.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "../embed/support.hpp"

using namespace quoin;
using Clock = std::chrono::steady_clock;

namespace {

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Sample {
  double open = 0, create = 0, plan = 0, first = 0, steady = 0;
  uint64_t resident = 0;  // bytes, after the runs
  double ready() const { return open + create + plan; }
};

uint64_t resident_bytes() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Sample measure(const rt::Engine& engine, const char* path, uint64_t& planned) {
  constexpr int kRuns = 20;
  rt::Error error;
  Sample out;
  quoin_program_options trust{};
  trust.trust_weights = 1;
  auto start = Clock::now();
  const rt::Program program = engine.open(path, trust, error);
  out.open = ms_since(start);
  if (!program) testing::die(error);
  testing::Buffers buffers(program, 0);
  start = Clock::now();
  rt::Instance instance = program.instance({}, error);
  out.create = ms_since(start);
  if (!instance) testing::die(error);
  start = Clock::now();
  if (!instance.plan({}, error)) testing::die(error);
  out.plan = ms_since(start);
  const quoin_memory need = instance.need();
  planned = need.arena.size + need.scratch.size + need.states.size;
  std::vector<double> runs;
  for (int i = 0; i <= kRuns; ++i) {
    start = Clock::now();
    if (!instance.run(buffers.inputs, buffers.outputs, {}, error)) testing::die(error);
    (i == 0 ? out.first : runs.emplace_back()) = ms_since(start);
  }
  std::ranges::sort(runs);
  out.steady = runs[runs.size() / 2];
  out.resident = resident_bytes();
  return out;
}

void print(const char* what, std::vector<double> values, const char* unit) {
  std::ranges::sort(values);
  std::printf("%-28s %9.3f %9.3f %s\n", what, values.front(), values[values.size() / 2], unit);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) testing::die("usage: runtime_bench PROGRAM [PLUGIN ...]");
  std::vector<quoin_plugin_entry_fn> plugins;
  for (int i = 2; i < argc; ++i) plugins.push_back(testing::entry_of(argv[i]));
  const rt::Engine engine = testing::engine_with(plugins);
  const uint64_t before = resident_bytes();
  uint64_t planned = 0;
  std::vector<double> open, create, plan, ready, first, ratio;
  uint64_t after = 0;
  for (int i = 0; i < 20; ++i) {
    const Sample sample = measure(engine, argv[1], planned);
    if (i == 0) after = sample.resident;
    open.push_back(sample.open);
    create.push_back(sample.create);
    plan.push_back(sample.plan);
    ready.push_back(sample.ready());
    first.push_back(sample.first);
    ratio.push_back(sample.first / sample.steady);
  }
  std::printf("%-28s %9s %9s\n", "20 times", "minimum", "median");
  print("open (read, verify)", open, "ms");
  print("create (kernels, delegates)", create, "ms");
  print("plan (memory)", plan, "ms");
  print("all three", ready, "ms");
  print("first run", first, "ms");
  print("first run / later runs", ratio, "");
  std::ifstream file(argv[1], std::ios::binary | std::ios::ate);
  std::printf("resident: %.2f MB more than before the first load; program %.2f MB, arena, scratch and states %.2f MB\n",
              static_cast<double>(after - before) / 1e6, static_cast<double>(file.tellg()) / 1e6,
              static_cast<double>(planned) / 1e6);
  return 0;
}
