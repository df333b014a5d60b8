// Behaviours that the reference's own tests of its XNNPACK quantizer check (docs/parity.md lists them).
#include <cmath>
#include <random>

#include "fixture.hpp"
#include "quantize/quantize.hpp"

namespace quoin::parity {
namespace {

class ReferenceXnnpack : public XnnpackQuantizer {
 protected:
  using Names = std::vector<std::string>;

  ir::ValueId weight(Shape shape, unsigned seed = 1) {
    return graph.add_constant("w", uniform(std::move(shape), seed));
  }
  static Tensor uniform(Shape shape, unsigned seed) {
    Tensor tensor(DType::f32, std::move(shape));
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> next(-1, 1);
    for (float& x : tensor.as<float>()) x = next(engine);
    return tensor;
  }
  ir::NodeId linear(ir::ValueId x, const std::string& module = {}) {
    const int64_t channels = graph.value(x).type.shape.back();
    return add("aten.linear.default", {x, weight({channels, channels}), weight({channels}, 2)}, {}, module);
  }
  void returns(std::initializer_list<ir::NodeId> nodes) {
    std::vector<ir::ValueId> outputs;
    for (const ir::NodeId node : nodes) outputs.push_back(graph.output(node));
    graph.set_outputs(std::move(outputs));
  }

  class Samples final : public data::Dataset {
   public:
    explicit Samples(const ir::Graph& graph) {
      for (unsigned i = 0; i < 4; ++i)
        for (const ir::ValueId id : graph.inputs())
          batches_[i].push_back(uniform(graph.value(id).type.shape, 100 + 10 * i + static_cast<unsigned>(id)));
    }
    size_t size() const override { return batches_.size(); }
    Result<data::Sample> sample(size_t index) const override { return data::Sample{"batch", batches_[index], {}, {}}; }
    std::string describe() const override { return "random numbers"; }
    uint64_t digest() const override { return 0; }

   private:
    std::array<std::vector<Tensor>, 4> batches_;
  };

  Result<ir::Graph> convert(recipe::Quantizer config) {
    QUOIN_TRY(const auto annotations, annotate(std::move(config)));
    QUOIN_TRY(auto prepared, quantize::prepare(graph, annotations, {}));
    const Samples samples(graph);
    QUOIN_CHECK(quantize::calibrate(graph, prepared, &samples, kernels, Plugin::get().host(), nullptr, notes));
    return quantize::convert(graph, prepared, notes);
  }
  ir::Graph converted(const std::string& preset, recipe::Params params = {}, std::vector<recipe::Rule> rules = {}) {
    auto made = convert({"xnnpack", preset, std::move(params), std::move(rules), {"test"}});
    EXPECT_TRUE(made) << made.error().text();
    return made ? *std::move(made) : ir::Graph();
  }
  static recipe::Rule rule(std::optional<std::string> recipe::Rule::*selector, const std::string& name,
                           std::optional<std::string> preset) {
    recipe::Rule out;
    out.*selector = name;
    out.preset = std::move(preset);
    return out;
  }
  static Names ops(const ir::Graph& from) {
    Names out;
    for (const ir::NodeId id : from.order()) out.push_back(from.node(id).op());
    return out;
  }
  static long count(const ir::Graph& from, const std::string& op) { return std::ranges::count(ops(from), op); }
  static long quantizes(const ir::Graph& from) { return count(from, kQ); }
  static long dequantizes(const ir::Graph& from) { return count(from, kDq); }
  static int64_t weight_axis(const ir::Graph& from, const std::string& op) {
    for (const ir::NodeId id : from.order())
      if (from.node(id).op() == op) return get_int(from.node(from.value(from.input(id, 1)).producer).attrs, "axis");
    return -1;
  }
  Result<std::vector<Tensor>> run(const ir::Graph& from) {
    const Samples samples(from);
    QUOIN_TRY(const auto sample, samples.sample(0));
    QUOIN_TRY(auto interpreter, interpret::Interpreter::create(from, kernels, Plugin::get().host()));
    return interpreter.run(sample.inputs);
  }

  static constexpr const char* kQ = "quantized_decomposed.quantize_per_tensor.default";
  static constexpr const char* kDq = "quantized_decomposed.dequantize_per_tensor.default";
  static constexpr const char* kDqChannel = "quantized_decomposed.dequantize_per_channel.default";
  static constexpr const char* kChoose = "quantized_decomposed.choose_qparams.tensor";
  const recipe::Params per_channel{{"per_channel", true}};
  const kernels::KernelSet kernels;
};

TEST_F(ReferenceXnnpack, Conv1dAndConv2dQuantizeInputWeightAndResult) {
  const auto line = add("aten.conv1d.default", {input({1, 3, 8}), weight({3, 3, 3})});
  const auto plane = add("aten.unsqueeze.default", {graph.output(line)}, {{"dim", int64_t{2}}});
  const auto second = conv(graph.output(plane), weight({3, 3, 1, 1}));
  returns({second});
  const ir::Graph found = converted("int8-static", per_channel);
  EXPECT_EQ(ops(found), (Names{kQ, kDq, kDqChannel, "aten.conv1d.default", kQ, kDq, "aten.unsqueeze.default", kQ, kDq,
                               kDqChannel, "aten.conv2d.default", kQ, kDq}));
}
TEST_F(ReferenceXnnpack, TransposedAndPlainConvolutionsKeepTheirOwnChannelAxisInAnyOrder) {
  const auto up = add("aten.conv_transpose2d.input", {input({1, 3, 6, 6}), weight({3, 4, 3, 3})});
  const auto first = conv(graph.output(up), weight({4, 4, 1, 1}));
  const auto second = add("aten.conv_transpose2d.input", {graph.output(first), weight({4, 2, 3, 3})});
  returns({second});
  const ir::Graph found = converted("int8-static", per_channel);
  EXPECT_EQ(weight_axis(found, "aten.conv_transpose2d.input"), 1);
  EXPECT_EQ(weight_axis(found, "aten.conv2d.default"), 0);
  EXPECT_EQ(count(found, kDqChannel), 3);
}
TEST_F(ReferenceXnnpack, LinearLayersOfAnyRankQuantizeAlike) {
  for (const Shape& shape : {Shape{2, 5}, Shape{2, 3, 5}, Shape{2, 3, 4, 5}}) {
    graph = {};
    returns({linear(input(shape))});
    EXPECT_EQ(ops(converted("int8-static", per_channel)), (Names{kQ, kDq, kDqChannel, "aten.linear.default", kQ, kDq}));
  }
}
TEST_F(ReferenceXnnpack, ALinearAndItsReluAreObservedOnceBehindTheRelu) {
  const auto layer = linear(input({2, 5}));
  returns({relu(layer)});
  EXPECT_EQ(ops(converted("int8-static")), (Names{kQ, kDq, kDq, "aten.linear.default", "aten.relu.default", kQ, kDq}));
}
TEST_F(ReferenceXnnpack, ConvolutionsAndLinearsShareTheScaleOfAViewBetweenThem) {
  const auto layer = conv(input({1, 3, 4, 4}), weight({2, 3, 3, 3}));
  const auto flat = add("aten.flatten.using_ints", {graph.output(layer)}, {{"start_dim", int64_t{1}}});
  returns({linear(graph.output(flat))});
  const ir::Graph found = converted("int8-static", per_channel);
  EXPECT_EQ(quantizes(found), 4);
  EXPECT_EQ(dequantizes(found), 4);
}
TEST_F(ReferenceXnnpack, AChainOfOperatorsThatKeepTheScaleHasOneObserver) {
  const auto layer = conv(input({1, 3, 10, 10}), weight({4, 3, 3, 3}));
  const auto pool =
      add("aten.adaptive_avg_pool2d.default", {graph.output(layer)}, {{"output_size", std::vector<int64_t>{2, 2}}});
  const auto clamp = add("aten.hardtanh.default", {graph.output(pool)});
  const auto mean = add("aten.mean.dim", {graph.output(clamp)}, {{"dim", std::vector<int64_t>{2, 3}}});
  returns({mean});
  const ir::Graph found = converted("int8-static", per_channel);
  EXPECT_EQ(quantizes(found), 5);
  EXPECT_EQ(dequantizes(found), 5);
  std::set<double> scales;
  for (const ir::NodeId id : found.order())
    if (found.node(id).op() == kQ && id != found.order()[0]) scales.insert(get_number(found.node(id).attrs, "scale"));
  EXPECT_EQ(scales.size(), 1u);
}
TEST_F(ReferenceXnnpack, PoolsAndViewsBehindALayerAreInItsGroup) {
  const auto layer = conv(input({1, 3, 10, 10}), weight({4, 3, 3, 3}));
  const auto clamp = relu(layer);
  const auto pool =
      add("aten.max_pool2d.default", {graph.output(clamp)}, {{"kernel_size", std::vector<int64_t>{2, 2}}});
  const auto view = add("aten.view.default", {graph.output(pool)}, {{"size", std::vector<int64_t>{1, 64}}});
  returns({linear(graph.output(view))});
  const auto annotations = annotated("int8-static", false);
  const auto prepared = quantize::prepare(graph, annotations, {});
  ASSERT_TRUE(prepared) << prepared.error().text();
  const size_t group = prepared->group_of.at({clamp, 0, true});
  for (const ir::Place place : {ir::Place{pool, 0, false}, ir::Place{pool, 0, true}, ir::Place{view, 0, true}})
    EXPECT_EQ(prepared->group_of.at(place), group);
}
TEST_F(ReferenceXnnpack, AFilterLeavesAModuleInFloat) {
  const auto first = linear(input({2, 5}), "sub"), second = linear(graph.output(first), "head");
  returns({second});
  recipe::Quantizer config{"xnnpack", "int8-static", {}, {}, {"test"}};
  recipe::Selector head;
  head.module = "head";
  config.exclude.push_back(head);
  const auto found = annotate(config);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_TRUE(quantized(*found, first));
  EXPECT_FALSE(quantized(*found, second));
}
TEST_F(ReferenceXnnpack, ModuleNamesMayHaveUnderscores) {
  const auto first = linear(input({2, 5}), "_inner_"), second = linear(graph.output(first), "sub_module.fc_1");
  returns({second});
  const auto found = annotated("follow", false, {rule(&recipe::Rule::module, "sub_module.fc_1", "int8-static")});
  EXPECT_FALSE(quantized(found, first));
  EXPECT_TRUE(quantized(found, second));
}
TEST_F(ReferenceXnnpack, ModuleTypesSelectTheirModules) {
  const auto first = add("aten.linear.default", {input({2, 5}), weight({5, 5})}, {}, "a");  // of type test.Module
  const auto second = add("aten.linear.default", {graph.output(first), weight({5, 5})});
  returns({second});
  const auto found = annotated("follow", false, {rule(&recipe::Rule::module_type, "test.Module", "int8-static")});
  EXPECT_TRUE(quantized(found, first));
  EXPECT_FALSE(quantized(found, second));
}
TEST_F(ReferenceXnnpack, DynamicLinearsChooseTheirScalesWhileRunning) {
  for (const bool channels : {false, true}) {
    graph = {};
    returns({linear(input({2, 5}))});
    const ir::Graph found = converted("int8-dynamic", {{"per_channel", channels}});
    EXPECT_EQ(count(found, kChoose), 1);
    EXPECT_EQ(quantizes(found), 0);
    EXPECT_EQ(count(found, channels ? kDqChannel : kDq), 1);
  }
}
TEST_F(ReferenceXnnpack, FourBitWeightsStayInTheirRangeAndSignedZeroPointsAreZero) {
  returns({linear(input({2, 5}))});
  const ir::Graph found =
      converted("int8-dynamic", {{"per_channel", true}, {"weight_qmin", int64_t{0}}, {"weight_qmax", int64_t{15}}});
  for (const ir::NodeId id : found.order()) {
    if (found.node(id).op() != kDqChannel) continue;
    for (const int8_t q : found.value(found.input(id, 0)).constant->as<int8_t>()) EXPECT_TRUE(q >= 0 && q <= 15);
    for (const int64_t zero : found.value(found.input(id, 2)).constant->as<int64_t>()) EXPECT_EQ(zero, 0);
  }
}
TEST_F(ReferenceXnnpack, DynamicLinearsByOperatorLeaveConvolutionsInFloat) {
  const auto layer = conv(input({1, 3, 5, 5}), weight({3, 3, 1, 1}));
  const auto second = linear(graph.output(layer));
  returns({second});
  const auto found = annotated("follow", false, {rule(&recipe::Rule::op, "aten.linear.default", "int8-dynamic")});
  EXPECT_FALSE(quantized(found, layer));
  EXPECT_TRUE(found.find({second, 0, false})->dynamic);
}
TEST_F(ReferenceXnnpack, SumsAndProductsWithScalarsQuantizeTheScalarToo) {
  const auto sum = add("aten.add.Scalar", {input({1, 4})}, {{"other", 1.0}});
  returns({add("aten.mul.Scalar", {graph.output(sum)}, {{"other", 3.0}})});
  const ir::Graph found = converted("int8-static");
  EXPECT_EQ(count(found, "aten.add.Tensor") + count(found, "aten.mul.Tensor"), 2);
  EXPECT_EQ(dequantizes(found), 5) << "the input, two scalars, two results";
}
TEST_F(ReferenceXnnpack, SumsAndProductsOfIntegersStayAsTheyAre) {
  const auto a = graph.add_input("a", {DType::s64, {3}, nullptr}), b = graph.add_input("b", {DType::s64, {3}, nullptr});
  const auto sum = add("aten.add.Tensor", {a, b}), product = add("aten.mul.Tensor", {graph.output(sum), b});
  returns({product});
  const auto found = annotated("int8-static", false);
  EXPECT_TRUE(found.all().empty());
  EXPECT_NE(found.verdicts.at(sum).reason.find("f32"), std::string::npos);
}
TEST_F(ReferenceXnnpack, ACatOfOneTensorTwiceQuantizesItOnce) {
  const auto x = input({1, 4});
  returns({add("aten.cat.default", {x, x}, {{"dim", int64_t{1}}})});
  EXPECT_EQ(ops(converted("int8-static")), (Names{kQ, kDq, "aten.cat.default", kQ, kDq}));
}
TEST_F(ReferenceXnnpack, AResidualNetworkStaysCloseToItsFloatForm) {
  ir::ValueId value = input({1, 8, 12, 12});
  const auto layer = [&](ir::ValueId x, unsigned seed) {
    Tensor kernel = uniform({8, 8, 3, 3}, seed);
    for (float& w : kernel.as<float>()) w *= 0.15f;
    return add("aten.conv2d.default", {x, graph.add_constant("w", std::move(kernel)), weight({8}, seed + 1)},
               {{"padding", std::vector<int64_t>{1, 1}}});
  };
  for (unsigned block = 0; block < 4; ++block) {
    const auto first = relu(layer(value, 10 * block + 1));
    const auto second = layer(graph.output(first), 10 * block + 5);
    value = graph.output(relu(add("aten.add.Tensor", {graph.output(second), value})));
  }
  const auto pool = add("aten.adaptive_avg_pool2d.default", {value}, {{"output_size", std::vector<int64_t>{1, 1}}});
  const auto flat = add("aten.flatten.using_ints", {graph.output(pool)}, {{"start_dim", int64_t{1}}});
  returns({linear(graph.output(flat))});
  const auto before = run(graph);
  const ir::Graph found = converted("int8-static", per_channel);
  const auto after = run(graph), quantized = run(found);
  ASSERT_TRUE(before && after && quantized);
  EXPECT_TRUE(std::ranges::equal((*before)[0].as<float>(), (*after)[0].as<float>())) << "calibration changed the graph";
  double signal = 0, noise = 0;
  for (size_t i = 0; i < (*before)[0].as<float>().size(); ++i) {
    const double a = (*before)[0].as<float>()[i], b = (*quantized)[0].as<float>()[i];
    signal += a * a;
    noise += (a - b) * (a - b);
  }
  EXPECT_GT(10 * std::log10(signal / noise), 30) << "decibels";
}

}  // namespace
}  // namespace quoin::parity
