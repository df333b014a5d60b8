// The typed form computes what the QDQ form says, on random graphs.
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::in;
using test::out;
using test::random_tensor;

// Convolutions, linears, sums, products, clamps, pools and data movement over values of shape [1, 4, 6, 6].
class RandomGraph {
 public:
  static inline const Shape kShape{1, 4, 6, 6};
  test::Model model;

  // `computes` nodes that accumulate, with up to two that carry integers around each.
  RandomGraph(unsigned seed, int computes) : engine_(seed) {
    values_ = {model.input(kShape, "x"), model.input(kShape, "y")};
    for (int i = 0; i < computes; ++i) {
      carry_some();
      compute();
      carry_some();
    }
    model.graph.set_outputs({values_.back()});
  }

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(engine_); }
  ir::ValueId recent() { return values_[values_.size() - 1 - pick(2)]; }
  bool likely() { return pick(5) != 0; }

  void compute() {
    const size_t kind = pick(4);
    if (kind == 0) return binary("aten.add.Tensor");
    if (kind == 1) return binary("aten.mul.Tensor");
    product(kind == 2);
  }
  void product(bool convolution) {
    const auto seed = static_cast<unsigned>(engine_());
    const Shape shape = convolution ? Shape{4, 4, 3, 3} : Shape{6, 6};
    const ir::ValueId w = model.constant(random_tensor(shape, seed, -0.3f, 0.3f));
    const ir::ValueId b = model.constant(random_tensor({shape[0]}, seed + 1));
    const Attrs padding{{"padding", std::vector<int64_t>{1, 1}}};
    const auto id = convolution ? model.add("aten.conv2d.default", {recent(), w, b}, padding)
                                : model.add("aten.linear.default", {recent(), w, b});
    if (likely()) model.annotate_product(id, likely(), test::weight(pick(2) == 0 ? 0 : -1));
    values_.push_back(model.value(id));
  }
  void binary(const char* op) {
    const auto id = model.add(op, {recent(), recent()});
    if (likely()) model.annotate_all(id);
    values_.push_back(model.value(id));
  }
  void carry_some() {
    for (size_t i = pick(3); i > 0; --i) carry();
  }
  void carry() {
    using Ints = std::vector<int64_t>;
    static const std::vector<std::pair<const char*, Attrs>> kinds{
        {"aten.hardtanh.default", {{"min_val", -0.7}, {"max_val", 0.9}}},
        {"aten.relu.default", {}},
        {"aten.transpose.int", {{"dim0", int64_t{2}}, {"dim1", int64_t{3}}}},
        {"aten.max_pool2d.default", {{"kernel_size", Ints{3, 3}}, {"stride", Ints{1, 1}}, {"padding", Ints{1, 1}}}}};
    const auto& [op, attrs] = kinds[pick(kinds.size())];
    const auto id = model.add(op, {recent()}, attrs);
    if (likely()) {
      model.annotate(in(id), test::activation());
      model.annotate(out(id), test::share(in(id)));
    }
    values_.push_back(model.value(id));
  }

  std::mt19937 engine_;
  std::vector<ir::ValueId> values_;
};

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
