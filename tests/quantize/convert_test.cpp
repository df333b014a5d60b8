#include "fake_plugin.hpp"

namespace quoin::quantize {
namespace {

using test::count;
using test::floats;
using test::in;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;

constexpr const char* kQ = "quantize_per_tensor.default";
constexpr const char* kDq = "dequantize_per_tensor.default";
constexpr const char* kDqChannel = "dequantize_per_channel.default";

// conv(x, w, b) in module stem -> relu in module act.
class Convert : public testing::Test {
 protected:
  ir::NodeId conv(ir::ValueId x, const std::string& name = "conv") {
    const int64_t channels = model_.graph.value(x).type.shape[1];
    return model_.add("aten.conv2d.default",
                      {x, model_.constant(random_tensor({4, channels, 3, 3}, 2), name + "_w"),
                       model_.constant(random_tensor({4}, 3), name + "_b")},
                      {{"padding", std::vector<int64_t>{1, 1}}}, name, {{"stem", "lib.Stem"}});
  }
  ir::Graph qdq() { return model_.qdq({{random_tensor({1, 3, 5, 5}, 1)}}); }
  test::FakePlugin plugin_{[](const auto&, const auto&, auto&) { return QUOIN_OK; }};  // outlives the specs of model_
  test::Model model_;
};

TEST_F(Convert, ConvReluBecomesExplicitQuantizeAndDequantize) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  const auto relu = model_.add("aten.relu.default", {model_.value(c)}, {}, "relu", {{"act", "lib.Act"}});
  model_.graph.set_outputs({model_.value(relu)});
  model_.annotate_product(c, false);
  model_.annotate(out(relu), test::activation());
  const ir::Graph graph = qdq();
  EXPECT_EQ(test::ops(graph), (Names{kQ, kDq, kDqChannel, "conv2d.default", "relu.default", kQ, kDq}));

  const ir::NodeId weight = test::find(graph, kDqChannel);
  const ir::Value& folded = graph.value(graph.input(weight, 0));
  ASSERT_TRUE(folded.constant);
  EXPECT_EQ(folded.type.dtype, DType::s8);
  for (const int8_t q : folded.constant->as<int8_t>()) EXPECT_GE(q, -127);
  EXPECT_EQ(get_int(graph.node(weight).attrs, "axis"), 0);
  EXPECT_EQ(graph.value(graph.input(test::find(graph, "conv2d.default"), 2)).type.dtype, DType::f32);  // bias stays
  test::ok(ir::verify(graph));
}
TEST_F(Convert, TheFloatGraphStaysAsItWas) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  model_.graph.set_outputs({model_.value(c)});
  model_.annotate_product(c);
  const Names before = test::ops(model_.graph);
  qdq();
  EXPECT_EQ(test::ops(model_.graph), before);
  test::ok(ir::verify(model_.graph));
}
TEST_F(Convert, InsertedNodesKnowWhereTheyComeFrom) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  const auto relu = model_.add("aten.relu.default", {model_.value(c)}, {}, "relu", {{"act", "lib.Act"}});
  model_.graph.set_outputs({model_.value(relu)});
  model_.annotate_product(c);
  model_.annotate(in(relu), test::activation());
  const ir::Graph graph = qdq();
  std::vector<std::string> modules;
  for (const ir::NodeId id : graph.order()) {
    modules.push_back(graph.node(id).module_path());
    EXPECT_NE(graph.node(id).debug_id, 0u);
  }
  // q, dq (input), dq (weight), conv, q (conv's result) belong to stem; the dq before relu is relu's.
  EXPECT_EQ(modules, (Names{"stem", "stem", "stem", "stem", "stem", "act", "act"}));
  EXPECT_EQ(graph.node(graph.order()[0]).origins, Names{"conv"});
}
TEST_F(Convert, EveryAnnotatedReaderGetsItsOwnDequantize) {
  const auto first = conv(model_.input({1, 3, 5, 5}), "first");
  const auto left = conv(model_.value(first), "left"), right = conv(model_.value(first), "right");
  const auto neg = model_.add("aten.neg.default", {model_.value(first)}, {}, "neg");
  model_.graph.set_outputs({model_.value(left), model_.value(right), model_.value(neg)});
  for (const auto id : {first, left, right}) model_.annotate_product(id);
  const ir::Graph graph = qdq();
  // inputs: x; first: one q, dq for left, right and neg; left and right: q, dq.
  EXPECT_EQ(count(graph, kQ), 4);
  EXPECT_EQ(count(graph, kDq), 1 + 3 + 2);
}
TEST_F(Convert, AnInputUsedTwiceByOneNodeIsQuantizedOnce) {
  const auto x = model_.input({1, 3, 5, 5});
  const auto add = model_.add("aten.add.Tensor", {x, x});
  model_.graph.set_outputs({model_.value(add)});
  model_.annotate_all(add);
  const ir::Graph graph = qdq();
  EXPECT_EQ(test::ops(graph), (Names{kQ, kDq, "add.Tensor", kQ, kDq}));
  const ir::NodeId converted = test::find(graph, "add.Tensor");
  EXPECT_EQ(graph.input(converted, 0), graph.input(converted, 1));
}
TEST_F(Convert, DifferentQParamsAtTheEndsOfAnEdgeRequantize) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  const auto relu = model_.add("aten.relu.default", {model_.value(c)}, {}, "relu");
  model_.graph.set_outputs({model_.value(relu)});
  model_.annotate_product(c);
  Spec other = test::activation();
  other.dtype = DType::u8;
  other.qmin = 0;
  other.qmax = 255;
  model_.annotate(in(relu), other);
  const ir::Graph graph = qdq();
  EXPECT_EQ(test::ops(graph), (Names{kQ, kDq, kDqChannel, "conv2d.default", kQ, kDq, kQ, kDq, "relu.default"}));
  const auto& order = graph.order();
  EXPECT_EQ(get_text(graph.node(order[4]).attrs, "dtype"), "s8");
  EXPECT_EQ(get_text(graph.node(order[6]).attrs, "dtype"), "u8");
  EXPECT_EQ(graph.input(order[6], 0), graph.output(order[5]));
}
TEST_F(Convert, CatSharesOneSetOfQParams) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  const auto cat = model_.add("aten.cat.default", {model_.value(c), model_.graph.inputs()[0]}, {{"dim", int64_t{1}}});
  model_.graph.set_outputs({model_.value(cat)});
  model_.annotate_product(c, false);
  model_.annotate(in(cat, 0), test::activation());
  model_.annotate(in(cat, 1), test::share(in(cat, 0)));
  model_.annotate(out(cat), test::share(in(cat, 0)));
  const ir::Graph graph = qdq();
  const ir::NodeId id = test::find(graph, "cat.default");
  const auto scale = [&](ir::NodeId node) { return get_number(graph.node(node).attrs, "scale"); };
  const double first = scale(graph.value(graph.input(id, 0)).producer);
  EXPECT_EQ(first, scale(graph.value(graph.input(id, 1)).producer));
  EXPECT_EQ(first, scale(graph.value(graph.output(id)).users[0].node));
}
TEST_F(Convert, DerivedBiasIsFoldedWithTheProductOfScales) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  model_.graph.set_outputs({model_.value(c)});
  model_.annotate_product(c);
  Spec bias;
  bias.kind = SpecKind::derived;
  bias.dtype = DType::s32;
  bias.qmin = INT32_MIN;
  bias.qmax = INT32_MAX;
  bias.scheme = Scheme::per_channel;
  bias.axis = 0;
  bias.rule = QUOIN_RULE_PRODUCT;
  bias.sources = {in(c, 0), in(c, 1)};
  model_.annotate(in(c, 2), bias);
  const ir::Graph graph = qdq();
  const ir::NodeId id = test::find(graph, "conv2d.default");
  const ir::Node& dq = graph.node(graph.value(graph.input(id, 2)).producer);
  EXPECT_EQ(get_text(dq.attrs, "dtype"), "s32");
  const auto x_scale =
      static_cast<float>(get_number(graph.node(graph.value(graph.input(id, 0)).producer).attrs, "scale"));
  const ir::Node& weight = graph.node(graph.value(graph.input(id, 1)).producer);
  const auto w_scale = graph.value(weight.inputs[1]).constant->as<float>();
  const auto b_scale = graph.value(dq.inputs[1]).constant->as<float>();
  const auto q = graph.value(dq.inputs[0]).constant->as<int32_t>();
  const auto b = model_.graph.value(model_.graph.input(c, 2)).constant->as<float>();
  for (size_t i = 0; i < b.size(); ++i) {
    EXPECT_EQ(b_scale[i], x_scale * w_scale[i]);
    EXPECT_EQ(q[i], std::nearbyint(static_cast<double>(b[i]) / static_cast<double>(b_scale[i])));
  }
}
TEST_F(Convert, PluginsDeriveByTheirOwnRules) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  model_.graph.set_outputs({model_.value(c)});
  static const float scale = 0.5f;
  plugin_.on_derive_do(
      [](uint32_t rule, const quoin_qparams* const* sources, uint32_t sources_count, quoin_qparams* result) {
        if (rule != QUOIN_RULE_PLUGIN + 1 || sources_count != 1 || sources[0]->scale[0] <= 0) return QUOIN_INVALID;
        result->dtype = QUOIN_S8;
        result->qmin = -128;
        result->qmax = 127;
        result->count = 1;
        result->scale = &scale;
        return QUOIN_OK;
      });
  Spec derived;
  derived.kind = SpecKind::derived;
  derived.rule = QUOIN_RULE_PLUGIN + 1;
  derived.backend = plugin_.open();
  derived.sources = {in(c, 0)};
  model_.annotate(in(c, 0), test::activation());
  model_.annotate(out(c), derived);
  const ir::Graph graph = qdq();
  const ir::NodeId q = graph.value(graph.output(test::find(graph, "conv2d.default"))).users[0].node;
  EXPECT_EQ(get_number(graph.node(q).attrs, "scale"), 0.5);
}
TEST_F(Convert, DynamicPerTensorAndPerToken) {
  for (const bool token : {false, true}) {
    test::Model model;
    const auto x = model.input({2, 3});
    const auto linear = model.add("aten.linear.default", {x, model.constant(random_tensor({4, 3}, 1))});
    const auto twin = model.add("aten.linear.default", {x, model.constant(random_tensor({4, 3}, 2))});
    model.graph.set_outputs({model.value(linear), model.value(twin)});
    for (const auto id : {linear, twin}) {
      model.annotate(in(id, 0), test::dynamic(token ? Scheme::per_token : Scheme::per_tensor));
      model.annotate(in(id, 1), test::weight());
    }
    const ir::Graph graph = model.qdq({});
    const Names chain =
        token ? Names{"choose_qparams_per_token_asymmetric.default", "quantize_per_token.default",
                      "dequantize_per_token.default"}
              : Names{"choose_qparams.tensor", "quantize_per_tensor.tensor", "dequantize_per_tensor.tensor"};
    Names expected = chain;  // made once for both readers
    for (int i = 0; i < 2; ++i) expected.insert(expected.end(), {kDqChannel, "linear.default"});
    EXPECT_EQ(test::ops(graph), expected);
  }
}
TEST_F(Convert, GroupsOfAWeight) {
  test::Model model;
  const auto linear = model.add(
      "aten.linear.default", {model.input({1, 4}), model.constant(floats({2, 4}, {7.5, -3, 1, 0.5, 0, 0, 15, -15}))});
  model.graph.set_outputs({model.value(linear)});
  Spec groups;
  groups.dtype = DType::s4;
  groups.qmin = -8;
  groups.qmax = 7;
  groups.symmetric = true;
  groups.scheme = Scheme::per_group;
  groups.group = 2;
  model.annotate(in(linear, 1), groups);
  const ir::Graph graph = model.qdq({});
  const ir::NodeId dq = test::find(graph, "dequantize_per_channel_group.default");
  const auto q = graph.value(graph.input(dq, 0)).constant->as<int8_t>();
  EXPECT_EQ(std::vector<int>(q.begin(), q.end()), (std::vector<int>{7, -3, 7, 4, 0, 0, 7, -8}));
  EXPECT_EQ(graph.value(graph.input(dq, 1)).type.shape, (Shape{2, 2}));
}
TEST_F(Convert, RoundsHalfToEvenThroughTheReciprocal) {
  test::Model model;
  const auto linear = model.add("aten.linear.default",
                                {model.input({1, 5}), model.constant(floats({1, 5}, {0.5, 1.5, 2.5, -0.5, -127}))});
  model.graph.set_outputs({model.value(linear)});
  model.annotate(in(linear, 1), test::weight(-1));
  const ir::Graph graph = model.qdq({});
  const auto q = graph.value(graph.input(test::find(graph, kDq), 0)).constant->as<int8_t>();
  EXPECT_EQ(std::vector<int>(q.begin(), q.end()), (std::vector<int>{0, 2, 2, 0, -127}));
}
TEST_F(Convert, UncalibratedGroupsAreAnError) {
  const auto c = conv(model_.input({1, 3, 5, 5}));
  model_.graph.set_outputs({model_.value(c)});
  model_.annotate_product(c);
  const auto found = convert(model_.graph, model_.prepared(), model_.diagnostics);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::data);
  EXPECT_TRUE(test::mentions(found.error(), "module stem"));
}

}  // namespace
}  // namespace quoin::quantize
