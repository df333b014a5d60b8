// Every operator of the exporter's table: what is written, read back and run gives what the graph gives.
#include <cmath>
#include <set>

#include "export/onnx_ops.hpp"
#include "support.hpp"

namespace quoin::exporter {
namespace {

using namespace test;

struct Operand {
  Tensor tensor;
  bool constant = false;
};

struct Case {
  std::string op;
  std::vector<std::optional<Operand>> operands;
  Attrs attrs;
  double tolerance = 2e-6;
  int64_t oldest = kOldOpset;  // opset
};

using Ints = std::vector<int64_t>;

std::optional<Operand> real(Shape shape, unsigned seed = 1, float low = -2, float high = 2) {
  return Operand{random_floats(std::move(shape), seed, low, high)};
}
std::optional<Operand> fixed(Tensor tensor) { return Operand{std::move(tensor), true}; }
std::optional<Operand> weight(Shape shape, unsigned seed = 9) { return fixed(random_floats(std::move(shape), seed)); }
std::optional<Operand> positive(Shape shape) { return fixed(random_floats(std::move(shape), 5, 0.5F, 2)); }
std::optional<Operand> longs(Shape shape, int low, int high, unsigned seed = 3) {
  return Operand{random_integers<int64_t>(DType::s64, std::move(shape), seed, low, high)};
}
std::optional<Operand> bools(Shape shape, unsigned seed = 4) {
  return Operand{random_integers<uint8_t>(DType::boolean, std::move(shape), seed, 0, 1)};
}
std::optional<Operand> bytes(Shape shape) {
  return Operand{random_integers<int8_t>(DType::s8, std::move(shape), 7, -100, 100)};
}
constexpr std::nullopt_t kAbsent = std::nullopt;

std::vector<Case> unary_cases() {
  std::vector<Case> cases;
  for (const char* op : {"relu",  "relu6", "leaky_relu", "elu",     "hardswish",  "hardsigmoid", "sigmoid",    "tanh",
                         "silu",  "gelu",  "exp",        "erf",     "sin",        "cos",         "reciprocal", "floor",
                         "round", "neg",   "abs",        "dropout", "contiguous", "clone"})
    cases.push_back({fmt::format("aten.{}.default", op), {real({3, 5})}, {}});
  for (const char* op : {"log", "sqrt", "rsqrt"})
    cases.push_back({fmt::format("aten.{}.default", op), {real({3, 5}, 1, 0.1F, 4)}, {}});
  const std::vector<Case> more = {
      {"aten.relu.default", {bytes({9})}, {}},
      {"aten.hardtanh.default", {real({7})}, {{"min_val", -0.5}, {"max_val", 1.5}}},
      {"aten.clamp.default", {real({7})}, {{"min", -0.5}}},
      {"aten.clamp.default", {longs({7}, -9, 9)}, {{"min", -3.0}, {"max", 4.0}}},
      {"aten.clamp.default", {bytes({30})}, {{"min", -300.0}, {"max", 40.0}}},
      {"aten.clamp_min.default", {real({7})}, {{"min", 0.25}}},
      {"aten.clamp_max.default", {real({7})}, {{"max", 0.25}}},
      {"aten.elu.default", {real({7})}, {{"alpha", 1.5}, {"scale", 0.7}}},
      {"aten.gelu.default", {real({9})}, {{"approximate", std::string("tanh")}}},
      {"aten.sigmoid.default", {longs({5}, -3, 3)}, {}},
      {"aten.floor.default", {longs({5}, -3, 3)}, {}},
      {"aten.neg.default", {bytes({5})}, {}},
      {"aten.pow.Tensor_Scalar", {real({9}, 1, 0.5F, 2)}, {{"exponent", 2.5}}},
      {"aten.logical_not.default", {bools({6})}, {}},
      {"aten.to.dtype", {real({6}, 1, -9, 9)}, {{"dtype", std::string("s32")}}},
      {"aten.to.dtype", {longs({6}, -9, 9)}, {{"dtype", std::string("f32")}}},
  };
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

std::vector<Case> binary_cases() {
  std::vector<Case> cases;
  for (const char* op : {"add", "sub", "mul", "div"}) {
    cases.push_back({fmt::format("aten.{}.Tensor", op), {real({2, 3}), real({3}, 2, 0.5F, 2)}, {}});
    cases.push_back({fmt::format("aten.{}.Scalar", op), {real({2, 3})}, {{"other", 1.25}}});
    cases.push_back({fmt::format("aten.{}.Scalar", op), {longs({5}, -9, 9)}, {{"other", 0.5}}});
  }
  for (const char* op : {"eq", "ne", "lt", "le", "gt", "ge"}) {
    cases.push_back({fmt::format("aten.{}.Tensor", op), {longs({4, 4}, 0, 2), longs({4}, 0, 2, 8)}, {}});
    cases.push_back({fmt::format("aten.{}.Scalar", op), {real({9})}, {{"other", 0.25}}});
    cases.push_back({fmt::format("aten.{}.Tensor", op), {longs({9}, -2, 2), real({9})}, {}});
  }
  for (const char* op : {"maximum", "minimum"})
    cases.push_back({fmt::format("aten.{}.default", op), {real({2, 3}), real({3}, 2)}, {}});
  for (const char* op : {"logical_and", "logical_or"})
    cases.push_back({fmt::format("aten.{}.default", op), {bools({9}), bools({9}, 6)}, {}});
  for (const char* op : {"bitwise_and", "bitwise_or"})
    cases.push_back({fmt::format("aten.{}.Tensor", op), {bools({9}), bools({9}, 6)}, {}});
  const std::vector<Case> more = {
      {"aten.add.Tensor", {real({4}), real({4}, 2)}, {{"alpha", 0.5}}},
      {"aten.sub.Scalar", {real({4})}, {{"other", 3.0}, {"alpha", 2.0}}},
      {"aten.add.Tensor", {bytes({9}), bytes({9})}, {}},
      {"aten.mul.Tensor", {longs({4}, -9, 9), real({4}, 2)}, {}},
      {"aten.where.self", {bools({6}), real({6}), real({6}, 2)}, {}},
      {"aten.where.ScalarOther", {bools({6}), real({6})}, {{"other", -1.5}}},
      {"aten.where.ScalarSelf", {bools({6}), real({6})}, {{"self", -1.5}}},
  };
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

std::vector<Case> network_cases() {
  return {
      {"aten.conv1d.default",
       {real({1, 4, 9}), weight({6, 2, 3}), weight({6})},
       {{"stride", Ints{2}}, {"padding", Ints{1}}, {"groups", int64_t{2}}}},
      {"aten.conv2d.default",
       {real({2, 3, 8, 7}), weight({4, 3, 3, 2})},
       {{"stride", Ints{2, 1}}, {"padding", Ints{1, 0}}, {"dilation", Ints{1, 2}}}},
      {"aten.conv_transpose2d.input",
       {real({1, 4, 5, 5}), weight({4, 3, 3, 3}), weight({3})},
       {{"stride", Ints{2, 2}}, {"padding", Ints{1, 1}}, {"output_padding", Ints{1, 0}}}},
      {"aten.linear.default", {real({3, 5}), weight({4, 5}), weight({4})}, {}},
      {"aten.linear.default", {real({2, 3, 5}), weight({4, 5})}, {}},
      {"aten.linear.default", {real({5}), weight({4, 5}), weight({4})}, {}},
      {"aten.matmul.default", {real({2, 3, 4}), real({2, 4, 5}, 2)}, {}},
      {"aten.bmm.default", {real({2, 3, 4}), real({2, 4, 5}, 2)}, {}},
      {"aten.mm.default", {real({3, 4}), real({4, 5}, 2)}, {}},
      {"aten.batch_norm.default", {real({2, 3, 4, 4}), kAbsent, weight({3}), weight({3}, 8), positive({3})}, {}},
      {"aten.layer_norm.default", {real({2, 3, 8}), weight({8}), weight({8}, 2)}, {{"normalized_shape", Ints{8}}}},
      {"aten.layer_norm.default", {real({2, 3, 8})}, {{"normalized_shape", Ints{3, 8}}}},
      {"aten.rms_norm.default", {real({2, 8}), weight({8})}, {{"normalized_shape", Ints{8}}, {"eps", 1e-6}}},
      {"aten.group_norm.default", {real({2, 6, 3, 3}), weight({6}), weight({6}, 2)}, {{"num_groups", int64_t{3}}}},
      {"aten.group_norm.default", {real({2, 6, 3, 3})}, {{"num_groups", int64_t{2}}}},
      {"aten.softmax.int", {real({2, 5})}, {{"dim", int64_t{-1}}}},
      {"aten.log_softmax.int", {real({2, 5})}, {{"dim", int64_t{0}}}},
  };
}

std::vector<Case> pooling_cases() {
  const Ints two{2, 2}, three{3, 3};
  return {
      {"aten.max_pool2d.default",
       {real({1, 2, 8, 8})},
       {{"kernel_size", three}, {"stride", two}, {"padding", Ints{1, 1}}}},
      {"aten.max_pool2d.default", {real({1, 2, 8, 8})}, {{"kernel_size", three}, {"stride", two}, {"ceil_mode", true}}},
      {"aten.max_pool2d.default", {real({2, 9, 9})}, {{"kernel_size", two}, {"dilation", two}}},
      {"aten.avg_pool2d.default",
       {real({1, 2, 8, 8})},
       {{"kernel_size", three}, {"stride", two}, {"padding", Ints{1, 1}}}},
      {"aten.avg_pool2d.default",
       {real({1, 2, 8, 8})},
       {{"kernel_size", three}, {"stride", two}, {"padding", Ints{1, 1}}, {"count_include_pad", false}}},
      {"aten.avg_pool2d.default", {real({1, 2, 8, 8})}, {{"kernel_size", three}, {"stride", two}, {"ceil_mode", true}}},
      {"aten.adaptive_avg_pool2d.default", {real({1, 3, 6, 4})}, {{"output_size", Ints{1, 1}}}},
      {"aten.adaptive_avg_pool2d.default", {real({1, 3, 6, 4})}, {{"output_size", Ints{3, 2}}}},
      {"aten.upsample_nearest2d.vec", {real({1, 2, 3, 5})}, {{"scale_factors", std::vector<double>{2, 1.5}}}},
      {"aten.upsample_nearest2d.vec", {real({1, 2, 3, 5})}, {{"output_size", Ints{7, 9}}}},
      {"aten.upsample_bilinear2d.vec", {real({1, 2, 3, 5})}, {{"output_size", Ints{6, 8}}}},
      {"aten.upsample_bilinear2d.vec", {real({1, 2, 3, 5})}, {{"output_size", Ints{6, 8}}, {"align_corners", true}}},
      {"aten.mean.dim", {real({2, 3, 4})}, {{"dim", Ints{-1, 0}}, {"keepdim", true}}},
      {"aten.mean.dim", {real({2, 3})}, {}},
      {"aten.sum.dim_IntList", {real({2, 3, 4})}, {{"dim", Ints{1}}}},
      {"aten.sum.dim_IntList", {bools({2, 5})}, {{"dim", Ints{1}}}},
      {"aten.amax.default", {real({2, 3, 4})}, {{"dim", Ints{1, 2}}}},
      {"aten.amin.default", {bytes({2, 3, 4})}, {{"dim", Ints{1}}, {"keepdim", true}}},
      {"aten.linalg_vector_norm.default", {real({2, 6})}, {{"dim", Ints{1}}, {"keepdim", true}}},
      {"aten.linalg_vector_norm.default", {real({2, 6})}, {{"ord", 1.0}, {"dim", Ints{0}}}},
      {"aten.argmax.default", {real({3, 6})}, {{"dim", int64_t{1}}, {"keepdim", true}}},
      {"aten.argmax.default", {real({3, 6})}, {}},
  };
}

std::vector<Case> moving_cases() {
  const int64_t one = 1, two = 2;
  return {
      {"aten.view.default", {real({2, 6})}, {{"size", Ints{3, -1}}}},
      {"aten.reshape.default", {real({2, 6})}, {{"shape", Ints{4, 3}}}},
      {"aten.flatten.using_ints", {real({2, 3, 4})}, {{"start_dim", one}}},
      {"aten.squeeze.dim", {real({2, 1, 3})}, {{"dim", one}}},
      {"aten.squeeze.dim", {real({2, 1, 3})}, {{"dim", int64_t{0}}}},
      {"aten.squeeze.dims", {real({2, 1, 3, 1})}, {{"dim", Ints{1, -1}}}},
      {"aten.unsqueeze.default", {real({2, 3})}, {{"dim", int64_t{-1}}}},
      {"aten.permute.default", {real({2, 3, 4})}, {{"dims", Ints{2, 0, -2}}}},
      {"aten.transpose.int", {real({2, 3, 4})}, {{"dim0", one}, {"dim1", int64_t{-1}}}},
      {"aten.t.default", {real({2, 3})}, {}},
      {"aten.expand.default", {real({3, 1})}, {{"size", Ints{2, -1, 4}}}},
      {"aten.expand_as.default", {real({3, 1}), real({3, 4})}, {}},
      {"aten.repeat.default", {real({3, 2})}, {{"repeats", Ints{2, 1, 3}}}},
      {"aten.slice.Tensor", {real({9, 2})}, {{"start", int64_t{-7}}, {"end", int64_t{100}}, {"step", two}}},
      {"aten.select.int", {real({4, 3})}, {{"dim", one}, {"index", int64_t{-1}}}},
      {"aten.cat.default", {real({2, 3}), real({2, 1}, 2), real({2, 2}, 3)}, {{"dim", int64_t{-1}}}},
      {"aten.stack.default", {real({2, 3}), real({2, 3}, 2)}, {{"dim", one}}},
      {"aten.pad.default", {real({2, 3, 4})}, {{"pad", Ints{1, 2, -1, 1}}, {"value", 0.5}}},
      {"aten.arange.start_step", {}, {{"start", 1.0}, {"end", 7.0}, {"step", 2.0}}},
      {"aten.full.default", {}, {{"size", Ints{2, 3}}, {"fill_value", 2.5}}},
      {"aten.embedding.default", {weight({9, 4}), longs({2, 3}, 0, 8)}, {}},
      {"aten.gather.default", {real({5, 4}), longs({3, 2}, 0, 4)}, {{"dim", int64_t{0}}}},
      {"aten.index_select.default", {real({5, 4}), longs({7}, 0, 3)}, {{"dim", one}}},
      {"aten.index.Tensor", {real({5, 4, 3}), kAbsent, longs({2, 2}, -4, 3)}, {}},
      {"aten.index.Tensor", {real({5, 4, 3}), longs({2, 1}, 0, 4), longs({3}, -4, 3)}, {}},
      {"aten.index.Tensor", {real({2, 5, 4, 3}), kAbsent, longs({2, 6}, 0, 4), longs({6}, 0, 3)}, {}},
      {"aten.index.Tensor", {real({5, 4, 3}), longs({2, 6}, 0, 4), kAbsent, longs({6}, 0, 2)}, {}},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = unary_cases();
  for (const auto& more : {binary_cases(), network_cases(), pooling_cases(), moving_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

struct Built {
  ir::Graph graph;
  std::vector<Tensor> inputs;
};

Built build(const Case& one) {
  Build to;
  std::vector<Tensor> inputs;
  std::vector<ir::ValueId> operands;
  for (const auto& operand : one.operands) {
    const std::string name = fmt::format("operand{}", operands.size());
    if (!operand) {
      operands.push_back(ir::kNone);
    } else if (operand->constant) {
      operands.push_back(to.constant(name, operand->tensor));
    } else {
      operands.push_back(to.input(name, operand->tensor.shape(), operand->tensor.dtype()));
      inputs.push_back(operand->tensor);
    }
  }
  to.returns({to.add(one.op, operands, one.attrs, "result")});
  return {std::move(to.graph), std::move(inputs)};
}

TEST(Operators, RunTheSameAfterWritingAndReading) {
  for (const Case& one : all_cases()) {
    const Built built = build(one);
    const Tensor expected = run(built.graph, built.inputs)[0];
    for (const int64_t opset : {kOldOpset, kNewOpset}) {
      SCOPED_TRACE(fmt::format("{} at opset {}", one.op, opset));
      EXPECT_EQ(model_of(built.graph, at(opset)).graph().output(0).name(), "result");
      const ir::Graph back = round_trip(built.graph, opset);
      ASSERT_EQ(back.inputs().size(), built.inputs.size());
      expect_near(run(back, built.inputs)[0], expected, one.tolerance);
    }
  }
}

TEST(Operators, AllOfTheTableAreCovered) {
  std::set<std::string> covered;
  for (const Case& one : all_cases()) covered.insert(one.op);
  for (const std::string& op : known_operators()) EXPECT_TRUE(!op.starts_with("aten.") || covered.contains(op)) << op;
}

TEST(Operators, OfTheRefusedFormsAreNamedWithTheReason) {
  const std::vector<std::pair<Case, std::string>> refused = {
      {{"aten.elu.default", {real({3})}, {{"input_scale", 2.0}}}, "input_scale 2"},
      {{"aten.adaptive_avg_pool2d.default", {real({1, 1, 7, 7})}, {{"output_size", Ints{3, 3}}}}, "different sizes"},
      {{"aten.avg_pool2d.default",
        {real({1, 1, 4, 4})},
        {{"kernel_size", Ints{2, 2}}, {"divisor_override", int64_t{3}}}},
       "divisor_override"},
      {{"aten.avg_pool2d.default",
        {real({1, 1, 8, 8})},
        {{"kernel_size", Ints{3, 3}}, {"stride", Ints{2, 2}}, {"padding", Ints{1, 1}}, {"ceil_mode", true}}},
       "ceil_mode"},
      {{"aten.linalg_vector_norm.default", {real({3})}, {{"ord", 3.0}}}, "order 3"},
  };
  for (const auto& [one, reason] : refused) {
    const Error error = refusal(build(one).graph);
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_NE(error.text().find(reason), std::string::npos) << error.text();
    EXPECT_NE(error.text().find("node result"), std::string::npos) << error.text();
  }
}

TEST(Operators, OfIntegersInBitsNeedTheNewOpset) {
  const Case one{"aten.bitwise_and.Tensor", {longs({4}, 0, 99), longs({4}, 0, 99, 8)}, {}};
  const Error error = refusal(build(one).graph, at(kOldOpset));
  EXPECT_NE(error.text().find("--opset 21"), std::string::npos) << error.text();
  EXPECT_EQ(model_of(build(one).graph).opset_import(0).version(), kNewOpset);
}

}  // namespace
}  // namespace quoin::exporter
