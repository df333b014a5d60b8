// Behaviours that the reference's own tests of prepare and convert check (docs/parity.md lists them), on our stages.
#include <chrono>

#include "fake_plugin.hpp"
#include "passes/passes.hpp"

namespace quoin::quantize {
namespace {

using test::count;
using test::in;
using test::ok;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;

constexpr const char* kQ = "quantize_per_tensor.default";
constexpr const char* kDq = "dequantize_per_tensor.default";
constexpr const char* kDqChannel = "dequantize_per_channel.default";

Spec u8() {
  Spec spec = test::activation();
  spec.dtype = DType::u8;
  spec.qmin = 0;
  spec.qmax = 255;
  return spec;
}
Spec fixed(float scale, int32_t zero_point) {
  Spec spec;
  spec.kind = SpecKind::fixed;
  spec.scale = scale;
  spec.zero_point = zero_point;
  return spec;
}

class ReferenceFlow : public testing::Test {
 protected:
  ir::NodeId conv(ir::ValueId data, Attrs attrs = {}, int64_t outputs = 4) {
    const int64_t groups = attrs.contains("groups") ? get_int(attrs, "groups") : 1,
                  channels = model.graph.value(data).type.shape[1];
    return model.add("aten.conv2d.default",
                     {data, model.constant(random_tensor({outputs, channels / groups, 3, 3}, 2)),
                      model.constant(random_tensor({outputs}, 3), "b")},
                     std::move(attrs));
  }
  ir::NodeId linear(ir::ValueId data, int64_t outputs = 4) {
    const int64_t channels = model.graph.value(data).type.shape.back();
    return model.add("aten.linear.default", {data, model.constant(random_tensor({outputs, channels}, 4))});
  }
  void returns(std::initializer_list<ir::NodeId> nodes) {
    std::vector<ir::ValueId> outputs;
    for (const ir::NodeId node : nodes) outputs.push_back(model.value(node));
    model.graph.set_outputs(std::move(outputs));
  }
  ir::Graph qdq() { return model.qdq({{sample}}); }
  // Largest difference of both graphs' first results, as a share of the largest float result.
  float error_of(const ir::Graph& quantized) const {
    const Tensor a = test::run(model.graph, {sample})[0], b = test::run(quantized, {sample})[0];
    float worst = 0, largest = 0;
    for (size_t i = 0; i < a.as<float>().size(); ++i) {
      worst = std::max(worst, std::fabs(a.as<float>()[i] - b.as<float>()[i]));
      largest = std::max(largest, std::fabs(a.as<float>()[i]));
    }
    return worst / largest;
  }
  test::Model model;
  Tensor sample = random_tensor({1, 4, 6, 6}, 1);
  ir::ValueId x = model.input({1, 4, 6, 6});
};

TEST_F(ReferenceFlow, ALayerHasOneQuantizeOnItsInputAndOneOnItsResult) {
  const auto node = conv(x);
  returns({node});
  model.annotate(in(node, 0), u8());
  model.annotate(in(node, 1), test::weight());
  model.annotate(out(node), u8());
  EXPECT_EQ(test::ops(qdq()), (Names{kQ, kDq, kDqChannel, "conv2d.default", kQ, kDq}));
}
TEST_F(ReferenceFlow, WithoutASpecOnTheResultNothingQuantizesIt) {
  const auto node = conv(x);
  returns({node});
  model.annotate_product(node, false);
  EXPECT_EQ(test::ops(qdq()), (Names{kQ, kDq, kDqChannel, "conv2d.default"}));
}
TEST_F(ReferenceFlow, APoolKeepsTheScaleOfItsOperand) {
  const auto first = conv(x);
  const auto pool =
      model.add("aten.max_pool2d.default", {model.value(first)}, {{"kernel_size", std::vector<int64_t>{2, 2}}});
  returns({pool});
  model.annotate_product(first);
  model.annotate(in(pool), test::share(out(first)));
  model.annotate(out(pool), test::share(in(pool)));
  const ir::Graph graph = qdq();
  EXPECT_EQ(test::ops(graph), (Names{kQ, kDq, kDqChannel, "conv2d.default", kQ, kDq, "max_pool2d.default", kQ, kDq}));
  EXPECT_EQ(graph.node(graph.order()[4]).attrs, graph.node(graph.order()[7]).attrs);
}
TEST_F(ReferenceFlow, AnInt32BiasOfOneScaleIsTheProductOfBothScales) {
  const auto node = conv(x);
  returns({node});
  model.annotate_product(node, true, test::weight(-1));
  Spec bias;
  bias.kind = SpecKind::derived;
  bias.dtype = DType::s32;
  bias.qmin = INT32_MIN;
  bias.qmax = INT32_MAX;
  bias.rule = QUOIN_RULE_PRODUCT;
  bias.sources = {in(node, 0), in(node, 1)};
  model.annotate(in(node, 2), bias);
  const ir::Graph graph = qdq();
  const ir::NodeId layer = test::find(graph, "conv2d.default");
  const auto scale = [&](uint32_t slot) {
    return static_cast<float>(get_number(graph.node(graph.value(graph.input(layer, slot)).producer).attrs, "scale"));
  };
  EXPECT_EQ(scale(2), scale(0) * scale(1));
  EXPECT_EQ(count(graph, kQ), 2) << "the bias is folded";
}
TEST_F(ReferenceFlow, FixedQparamsAreTakenAsTheyAreAndOncePerGroup) {
  const auto gate = model.add("aten.sigmoid.default", {x});
  const auto sum = model.add("aten.add.Tensor", {model.value(gate), model.value(gate)});
  returns({sum});
  model.annotate(in(gate), test::activation());
  for (const ir::Place place : {out(gate), in(sum, 0), in(sum, 1)}) model.annotate(place, fixed(1.0f / 256, -128));
  EXPECT_EQ(model.prepared().groups.size(), 2u);
  const ir::Graph graph = qdq();
  const Attrs& attrs = graph.node(graph.value(graph.output(test::find(graph, "sigmoid.default"))).users[0].node).attrs;
  EXPECT_EQ(get_number(attrs, "scale"), 1.0 / 256);
  EXPECT_EQ(get_int(attrs, "zero_point"), -128);
  EXPECT_EQ(count(graph, kQ), 2);
}
TEST_F(ReferenceFlow, OnlyFloatTensorsCanBeAnnotated) {
  const auto index = model.graph.add_input("i", {DType::s64, {2}, nullptr});
  const auto table = model.constant(random_tensor({8, 4}, 1), "table");
  const auto node = model.add("aten.embedding.default", {table, index});
  const auto refused = model.annotations.set(model.graph, in(node, 1), test::activation(), "test");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(test::mentions(refused.error(), "only f32"));
}
TEST_F(ReferenceFlow, ConstantsWithoutASpecStayAsTheyAre) {
  const auto node = conv(x);
  const auto shifted =
      model.add("aten.add.Tensor", {model.value(node), model.constant(random_tensor({1, 4, 1, 1}, 9), "shift")});
  returns({shifted});
  model.annotate_product(node);
  const ir::Graph graph = qdq();
  const ir::Value& shift = graph.value(graph.input(test::find(graph, "add.Tensor"), 1));
  ASSERT_TRUE(shift.constant);
  EXPECT_EQ(shift.type.dtype, DType::f32);
}
TEST_F(ReferenceFlow, AWeightIsFoldedThroughWhatStandsBeforeItsQuantize) {
  const auto turned = model.add("aten.permute.default", {model.constant(random_tensor({6, 8}, 5))},
                                {{"dims", std::vector<int64_t>{1, 0}}});
  const auto scaled = model.add("aten.mul.Scalar", {model.value(turned)}, {{"other", 2.0}});
  const auto node = model.add("aten.linear.default", {x, model.value(scaled)});
  returns({node});
  const kernels::KernelSet kernels;
  ok(passes::standard(model.graph, kernels, test::host()));
  model.annotate_product(node);
  const ir::Graph graph = qdq();
  EXPECT_EQ(test::ops(graph), (Names{kQ, kDq, kDqChannel, "linear.default", kQ, kDq}));
  const ir::Value& weight = graph.value(graph.input(test::find(graph, kDqChannel), 0));
  EXPECT_EQ(weight.type.dtype, DType::s8);
  EXPECT_EQ(weight.type.shape, (Shape{8, 6}));
}
TEST_F(ReferenceFlow, AConvertedGraphCanBeQuantizedAgain) {
  const auto first = conv(x);
  const auto flat = model.add("aten.flatten.using_ints", {model.value(first)}, {{"start_dim", int64_t{1}}});
  const auto second = linear(model.value(flat));
  returns({second});
  const ir::Graph original = model.graph;
  model.annotate_product(first);
  const ir::Graph once = qdq();
  model.annotations = {};
  model.graph = once;
  model.annotate_product(test::find(once, "linear.default"));
  const ir::Graph twice = qdq();
  EXPECT_EQ(test::ops(twice), (Names{kQ, kDq, kDqChannel, "conv2d.default", kQ, kDq, "flatten.using_ints", kQ, kDq,
                                     kDqChannel, "linear.default", kQ, kDq}));
  model.graph = original;
  EXPECT_LT(error_of(twice), 0.05f);
}
TEST_F(ReferenceFlow, GroupedConvolutionsHaveOneScalePerChannel) {
  const auto node = conv(x, {{"groups", int64_t{2}}}, 6);
  returns({node});
  model.annotate_product(node);
  const ir::Graph graph = qdq();
  const ir::NodeId weight = test::find(graph, kDqChannel);
  EXPECT_EQ(graph.value(graph.input(weight, 1)).type.shape, (Shape{6}));
  EXPECT_LT(error_of(graph), 0.03f);
}
TEST_F(ReferenceFlow, ReadersWithoutSpecsShareOneDequantize) {
  const auto node = conv(x);
  const auto left = model.add("aten.neg.default", {model.value(node)}),
             right = model.add("aten.abs.default", {model.value(node)});
  returns({left, right});
  model.annotate_product(node);
  EXPECT_EQ(test::ops(qdq()), (Names{kQ, kDq, kDqChannel, "conv2d.default", kQ, kDq, "neg.default", "abs.default"}));
}
TEST_F(ReferenceFlow, ReadersQuantizeTheirOwnInputWhereTheProducerDoesNot) {
  const auto relu = model.add("aten.relu.default", {x});
  const auto left = conv(model.value(relu)), right = conv(model.value(relu));
  returns({left, right});
  model.annotate_product(left);
  model.annotate_product(right);
  const ir::Graph graph = qdq();
  EXPECT_EQ(count(graph, kQ), 3) << "one for both readers, one per result";
  EXPECT_EQ(count(graph, kDq), 4) << "one per reader, one per result";
}
TEST_F(ReferenceFlow, TransposedConvolutionBatchNormAndReluQuantizeAsOneLayer) {
  const auto layer = model.add("aten.conv_transpose2d.input", {x, model.constant(random_tensor({4, 3, 3, 3}, 2))});
  const auto norm =
      model.add("aten.batch_norm.default",
                {model.value(layer), model.constant(random_tensor({3}, 5, 0.5f, 2), "gamma"),
                 model.constant(random_tensor({3}, 6), "beta"), model.constant(random_tensor({3}, 7), "mean"),
                 model.constant(random_tensor({3}, 8, 0.5f, 2), "var")});
  const auto relu = model.add("aten.relu.default", {model.value(norm)});
  returns({relu});
  const Tensor before = test::run(model.graph, {sample})[0];
  ok(passes::fold_batch_norm(model.graph));
  const Tensor folded = test::run(model.graph, {sample})[0];
  for (size_t i = 0; i < before.as<float>().size(); ++i)
    ASSERT_NEAR(before.as<float>()[i], folded.as<float>()[i], 1e-4f);
  const auto kept = test::find(model.graph, "conv_transpose2d.input");
  model.annotate_product(kept, false, test::weight(1));
  model.annotate(out(relu), test::activation());
  const ir::Graph graph = qdq();
  EXPECT_EQ(count(graph, "batch_norm.default"), 0);
  EXPECT_EQ(get_int(graph.node(test::find(graph, kDqChannel)).attrs, "axis"), 1);
  EXPECT_LT(error_of(graph), 0.05f);
}
TEST_F(ReferenceFlow, BatchNormBehindALinearOfRank3Stays) {
  const auto node =
      model.add("aten.linear.default", {model.input({2, 3, 4}, "y"), model.constant(random_tensor({5, 4}, 2))});
  const auto norm = model.add("aten.batch_norm.default",
                              {model.value(node), ir::kNone, ir::kNone, model.constant(random_tensor({3}, 7), "mean"),
                               model.constant(random_tensor({3}, 8, 0.5f, 2), "var")});
  returns({norm});
  ok(passes::fold_batch_norm(model.graph));
  EXPECT_EQ(count(model.graph, "batch_norm.default"), 1) << "its channels are not those of the layer";
}
TEST_F(ReferenceFlow, WeightOnlyDynamicAndStaticLayersLiveInOneModel) {
  const auto index = model.graph.add_input("i", {DType::s64, {2}, nullptr});
  const auto embedding =
      model.add("aten.embedding.default", {model.constant(random_tensor({8, 4}, 1), "table"), index});
  const auto dynamic = linear(model.value(embedding));
  const auto fixed_point = conv(x);
  returns({dynamic, fixed_point});
  Spec table = test::weight();
  table.dtype = DType::u8;
  table.qmin = 0;
  table.qmax = 255;
  table.symmetric = false;
  model.annotate(in(embedding, 0), table);
  model.annotate(in(dynamic, 0), test::dynamic(Scheme::per_tensor));
  model.annotate(in(dynamic, 1), test::weight());
  model.annotate_product(fixed_point);
  const ir::Graph graph = model.qdq({{sample, Tensor::of<int64_t>(DType::s64, {2}, std::vector<int64_t>{1, 7})}});
  EXPECT_EQ(count(graph, kDqChannel), 3);
  EXPECT_EQ(count(graph, "choose_qparams.tensor"), 1);
  EXPECT_EQ(count(graph, kQ), 2);
  EXPECT_EQ(graph.value(graph.input(test::find(graph, kDqChannel), 0)).type.dtype, DType::u8);
}
TEST_F(ReferenceFlow, ManyLayersArePreparedAndConvertedInNoTime) {
  ir::ValueId value = x;
  ir::NodeId last = ir::kNone;
  for (int i = 0; i < 200; ++i) {
    last = conv(value, {{"padding", std::vector<int64_t>{1, 1}}});
    model.annotate_product(last);
    value = model.value(last);
  }
  returns({last});
  const auto start = std::chrono::steady_clock::now();
  Prepared prepared = model.prepared();
  const auto ready = std::chrono::steady_clock::now() - start;
  EXPECT_LT(ready, std::chrono::seconds(5));
  EXPECT_EQ(prepared.groups.size(), 401u) << "the input, and weight and result of each layer";
}

// -- where inserted nodes come from

class ReferenceMetadata : public ReferenceFlow {
 protected:
  std::vector<std::string> modules(const ir::Graph& graph) const {
    std::vector<std::string> out;
    for (const ir::NodeId id : graph.order()) out.push_back(graph.node(id).module_path());
    return out;
  }
  ir::NodeId in_module(const std::string& module, ir::ValueId value) {
    return model.add("aten.linear.default", {value, model.constant(random_tensor({6, 6}, 4))}, {}, {},
                     {{module, "lib.M"}});
  }
};

TEST_F(ReferenceMetadata, ADequantizeBelongsToItsReaderAndAQuantizeToItsProducer) {
  const auto a = in_module("a", x), b = in_module("b", model.value(a));
  returns({b});
  model.annotate_product(a);
  model.annotate_product(b);
  // q and dq of the input, dq of the weight, linear, q of the result: a; the dq that b reads: b.
  EXPECT_EQ(modules(qdq()), (Names{"a", "a", "a", "a", "a", "b", "b", "b", "b", "b"}));
}
TEST_F(ReferenceMetadata, LayersInFloatBetweenPassNothingOn) {
  const auto a = in_module("a", x);
  const auto between = model.add("aten.neg.default", {model.value(a)}, {}, {}, {{"between", "lib.M"}});
  const auto b = in_module("b", model.value(between));
  returns({b});
  model.annotate_product(a);
  model.annotate_product(b);
  const Names found = modules(qdq());
  EXPECT_EQ(std::count(found.begin(), found.end(), "between"), 1) << "the layer itself";
}
TEST_F(ReferenceMetadata, TheChainOfADynamicInputBelongsToItsReader) {
  const auto a = in_module("a", x);
  returns({a});
  model.annotate(in(a, 0), test::dynamic(Scheme::per_tensor));
  model.annotate(in(a, 1), test::weight());
  EXPECT_EQ(modules(model.qdq({})), (Names{"a", "a", "a", "a", "a"}));
}
TEST_F(ReferenceMetadata, EachOfTwoReadersOwnsItsDequantize) {
  const auto a = in_module("a", x), b = in_module("b", x);
  returns({a, b});
  for (const auto id : {a, b}) model.annotate_product(id, false);
  const ir::Graph graph = qdq();
  std::set<std::string> owners;
  for (const ir::NodeId id : graph.order())
    if (graph.node(id).op().ends_with(kDq)) {
      EXPECT_TRUE(owners.insert(graph.node(id).module_path()).second);
    }
  EXPECT_EQ(owners, (std::set<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace quoin::quantize
