// The typed form computes what the QDQ form says, on random graphs.
#include "random_graph.hpp"

namespace quoin::quantize {
namespace {

using test::random_tensor;
using test::RandomGraph;

struct Difference {
  float largest = 0, mean = 0;  // in steps of the output's range over 255
  size_t integer_nodes = 0;
};

Difference compare(RandomGraph& random, unsigned seed) {
  std::vector<std::vector<Tensor>> samples;
  for (unsigned i = 0; i < 3; ++i)
    samples.push_back(
        {random_tensor(RandomGraph::kShape, seed + i), random_tensor(RandomGraph::kShape, seed + 50 + i)});
  const ir::Graph qdq = random.model.qdq(samples);
  const ir::Graph typed = random.model.typed(qdq);
  const Tensor expected = test::run(qdq, samples[0])[0], found = test::run(typed, samples[0])[0];

  const ir::NodeId last = qdq.value(qdq.outputs()[0]).producer;
  const Attrs& attrs = qdq.node(last).attrs;
  const auto a = expected.as<float>(), b = found.as<float>();
  const float step = has(attrs, "scale") ? static_cast<float>(get_number(attrs, "scale")) : 0.01f;
  Difference out;
  for (size_t i = 0; i < a.size(); ++i) {
    const float steps = std::abs(a[i] - b[i]) / step;
    out.largest = std::max(out.largest, steps);
    out.mean += steps / static_cast<float>(a.size());
  }
  for (const ir::NodeId id : typed.order())
    if (typed.value(typed.output(id)).type.qparams && !typed.node(id).op().starts_with("quoin.")) ++out.integer_nodes;
  return out;
}

TEST(RandomGraphs, OneIntegerNodeIsWithinOneStep) {
  size_t integer_nodes = 0;
  for (unsigned seed = 0; seed < 150; ++seed) {
    RandomGraph random(seed, 1);
    const Difference found = compare(random, seed);
    EXPECT_LE(found.largest, 1.01f) << "seed " << seed;
    integer_nodes += found.integer_nodes;
  }
  EXPECT_GT(integer_nodes, 150u);
}
TEST(RandomGraphs, ManyIntegerNodesDriftLittle) {
  for (unsigned seed = 1000; seed < 1060; ++seed) {
    RandomGraph random(seed, 6);
    EXPECT_LE(compare(random, seed).mean, 1.0f) << "seed " << seed;
  }
}

}  // namespace
}  // namespace quoin::quantize
