// Whole models: random quantized graphs, and the reference models where they are.
#include <cstdlib>
#include <filesystem>

#include "../quantize/random_graph.hpp"
#include "support.hpp"

namespace quoin::exporter {
namespace {

namespace fs = std::filesystem;
using quantize::test::RandomGraph;

TEST(Models, RandomQdqGraphsRunTheSameAfterWritingAndReading) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomGraph random(seed, 4);
    std::vector<std::vector<Tensor>> samples;
    for (unsigned i = 0; i < 3; ++i)
      samples.push_back({test::random_floats(RandomGraph::kShape, seed + i, -1, 1),
                         test::random_floats(RandomGraph::kShape, seed + 50 + i, -1, 1)});
    const ir::Graph qdq = random.model.qdq(samples);
    const ir::Graph back = test::round_trip(qdq, seed % 2 == 0 ? 13 : 21);
    test::expect_near(test::run(back, samples[0])[0], test::run(qdq, samples[0])[0], 0);
  }
}

fs::path shared() {
  const char* given = std::getenv("QUOIN_SHARED");
  return given != nullptr ? fs::path(given) : fs::path(QUOIN_SOURCE_ROOT) / ".." / "shared";
}

TEST(Models, ReferenceModelsRunTheSameAfterWritingAndReading) {
  const fs::path folder = shared() / "goldens" / "xnnpack_quantizer";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there (set QUOIN_SHARED)";
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path file = entry.path() / "model.pt2";
    if (!fs::exists(file)) continue;
    SCOPED_TRACE(file.string());
    const ir::Graph graph = test::imported(file.string());
    std::vector<Tensor> inputs;
    for (const ir::ValueId id : graph.inputs())
      inputs.push_back(test::random_floats(graph.value(id).type.shape, static_cast<unsigned>(inputs.size()), -1, 1));
    test::expect_near(test::run(test::round_trip(graph), inputs)[0], test::run(graph, inputs)[0], 1e-5);
    ++count;
  }
  EXPECT_GE(count, 42u);
}

}  // namespace
}  // namespace quoin::exporter
