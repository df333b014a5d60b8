// The xnnpack quantizer on graphs made by hand: what no case of the reference shows.
#include "fixture.hpp"

namespace quoin::parity {
namespace {

TEST_F(XnnpackQuantizer, DynamicConvolutionsBeforeReluAreQuantized) {
  const auto node = conv(input({1, 3, 8, 8}), constant({4, 3, 3, 3}));
  graph.set_outputs({graph.output(relu(node))});
  const auto right = annotated("int8-dynamic", false);
  ASSERT_TRUE(quantized(right, node));
  EXPECT_TRUE(right.find({node, 0, false})->dynamic);
  EXPECT_EQ(right.find({node, 0, true}), nullptr) << "results of dynamic layers stay in float";
  expect_quantized_unless_compatible("int8-dynamic", node);
}
TEST_F(XnnpackQuantizer, DynamicDepthwiseConvolutionsStayInFloat) {
  const auto node = add("aten.conv2d.default", {input({1, 3, 8, 8}), constant({3, 1, 3, 3})}, {{"groups", int64_t{3}}});
  graph.set_outputs({graph.output(node)});
  const auto found = annotated("int8-dynamic", false);
  EXPECT_EQ(found.verdicts.at(node).kind, Kind::float_by_rule);
  EXPECT_NE(found.verdicts.at(node).reason.find("depthwise"), std::string::npos);
}
TEST_F(XnnpackQuantizer, ConvolutionsThatShareAWeightAreBothQuantized) {
  const auto weight = constant({3, 3, 1, 1});
  const auto first = conv(input({1, 3, 8, 8}), weight), second = conv(graph.output(first), weight);
  graph.set_outputs({graph.output(second)});
  expect_quantized_unless_compatible("int8-static", second);
  EXPECT_TRUE(quantized(annotated("int8-static", true), first));
}
TEST_F(XnnpackQuantizer, ModuleScopesReachConvolutions) {
  const auto inside = conv(input({1, 3, 8, 8}), constant({3, 3, 1, 1}), "block");
  const auto outside = conv(graph.output(inside), constant({3, 3, 1, 1}));
  graph.set_outputs({graph.output(outside)});
  const auto right = annotated("follow", false, {module_rule("block", false)});
  EXPECT_TRUE(quantized(right, inside));
  EXPECT_FALSE(quantized(right, outside));
  EXPECT_FALSE(quantized(annotated("follow", true, {module_rule("block", true)}), inside));
}
TEST_F(XnnpackQuantizer, AReluOutsideOfTheScopeDoesNotKeepItsConvolutionInFloat) {
  const auto node = conv(input({1, 3, 8, 8}), constant({3, 3, 1, 1}), "block");
  const auto clamp = relu(node);
  graph.set_outputs({graph.output(clamp)});
  recipe::Rule rule = module_rule("block", false);
  const auto right = annotated("follow", false, {rule});
  EXPECT_TRUE(quantized(right, node));
  EXPECT_EQ(right.find({node, 0, true}), nullptr);
  EXPECT_NE(right.find({clamp, 0, true}), nullptr) << "one pattern, observed behind the relu";
  rule.params = {{"reference_compatible", true}};
  EXPECT_FALSE(quantized(annotated("follow", true, {rule}), node));
}
TEST_F(XnnpackQuantizer, AReluLeftInFloatStaysOutOfThePattern) {
  const auto node = conv(input({1, 3, 8, 8}), constant({3, 3, 1, 1}));
  const auto clamp = relu(node);
  graph.set_outputs({graph.output(clamp)});
  recipe::Rule rule;
  rule.op = "aten.relu.default";
  const auto found = annotated("int8-static", false, {rule});
  EXPECT_NE(found.find({node, 0, true}), nullptr);
  EXPECT_FALSE(quantized(found, clamp));
}
TEST_F(XnnpackQuantizer, OperatorRulesTakeTheReluBehindInBothModes) {
  const auto sum = add("aten.add.Tensor", {input({1, 4}), input({1, 4}, "y")});
  const auto clamp = relu(sum);
  graph.set_outputs({graph.output(clamp)});
  recipe::Rule rule;
  rule.op = "aten.add.Tensor";
  rule.preset = "int8-static";
  for (const bool compatible : {false, true}) {
    rule.params = {{"reference_compatible", compatible}, {"scope", std::string("operator")}};
    const auto found = annotated("follow", compatible, {rule});
    EXPECT_EQ(found.find({sum, 0, true}), nullptr) << compatible;
    EXPECT_NE(found.find({clamp, 0, true}), nullptr) << compatible;
  }
}
TEST_F(XnnpackQuantizer, ArithmeticInsideOfAnotherOperatorStaysInFloat) {
  ir::Provenance attention;  // as the importer marks what it makes of one operator
  attention.debug_id = 7;
  const auto scaled = graph.add_node("aten.mul.Tensor", {input({1, 4}), input({1, 4}, "y")}, {}, {}, attention);
  const auto masked = graph.add_node("aten.add.Tensor", {graph.output(*scaled), input({1, 4}, "m")}, {}, {}, attention);
  graph.set_outputs({graph.output(*masked)});
  const auto found = annotated("int8-static", false);
  EXPECT_FALSE(quantized(found, *scaled));
  EXPECT_NE(found.verdicts.at(*masked).reason.find("as a whole"), std::string::npos);
}
TEST_F(XnnpackQuantizer, DataMovementInsideOfAnotherOperatorFollowsUnlessCompatible) {
  const auto node = conv(input({1, 4, 8, 8}), constant({4, 4, 1, 1}));
  ir::Provenance shuffle;
  shuffle.debug_id = 9;
  const auto split = graph.add_node("aten.reshape.default", {graph.output(node)},
                                    {{"shape", std::vector<int64_t>{2, 2, 8, 8}}}, {}, shuffle);
  const auto turned = graph.add_node("aten.permute.default", {graph.output(*split)},
                                     {{"dims", std::vector<int64_t>{1, 0, 2, 3}}}, {}, shuffle);
  graph.set_outputs({graph.output(*turned)});
  expect_quantized_unless_compatible("int8-static", *split);
}
TEST_F(XnnpackQuantizer, PoolingByFunctionIsFoundUnlessCompatible) {
  ir::Provenance module;
  module.modules = {{"pool", "torch.nn.modules.pooling.AdaptiveAvgPool2d"}};
  const Attrs size{{"output_size", std::vector<int64_t>{1, 1}}};
  const auto by_function = add("aten.adaptive_avg_pool2d.default", {input({1, 4, 8, 8})}, size);
  const auto by_module =
      graph.add_node("aten.adaptive_avg_pool2d.default", {input({1, 4, 8, 8}, "y")}, size, {}, module);
  graph.set_outputs({graph.output(by_function), graph.output(*by_module)});
  expect_quantized_unless_compatible("int8-static", by_function);
  EXPECT_TRUE(quantized(annotated("int8-static", true), *by_module));
}
TEST_F(XnnpackQuantizer, ConcatenationsKeepToTheScope) {
  const auto x = input({1, 4});
  const auto linear = add("aten.linear.default", {x, constant({4, 4})}, {}, "block");
  const auto y = input({1, 4}, "y"), z = input({1, 4}, "z");
  const auto outside = add("aten.cat.default", {y, z}, {{"dim", int64_t{1}}});
  graph.set_outputs({graph.output(linear), graph.output(outside)});
  EXPECT_FALSE(quantized(annotated("follow", false, {module_rule("block", false)}), outside));
  EXPECT_TRUE(quantized(annotated("follow", true, {module_rule("block", true)}), outside));
}
TEST_F(XnnpackQuantizer, Relu6KeepsTheScaleOfItsOperand) {
  const auto node = conv(input({1, 3, 8, 8}), constant({3, 3, 1, 1}));
  const auto clamp = add("aten.relu6.default", {graph.output(node)});
  graph.set_outputs({graph.output(clamp)});
  expect_quantized_unless_compatible("int8-static", clamp);
}
TEST_F(XnnpackQuantizer, TransposedConvolutionsHaveChannelsOnAxis1) {
  const auto plain = add("aten.conv_transpose2d.input", {input({1, 4, 6, 6}), constant({4, 2, 3, 3})});
  const auto grouped =
      add("aten.conv_transpose2d.input", {input({1, 4, 6, 6}, "y"), constant({4, 2, 3, 3})}, {{"groups", int64_t{2}}});
  graph.set_outputs({graph.output(plain), graph.output(grouped)});
  const auto found = annotate({"xnnpack", "int8-static", {{"per_channel", true}}, {}, {"test"}});
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_TRUE(quantized(*found, plain));
  EXPECT_EQ(found->find({plain, 1, false})->axis, 1);
  EXPECT_EQ(found->verdicts.at(grouped).kind, Kind::float_by_rule);
}
TEST_F(XnnpackQuantizer, HugeScalarsStayInFloat) {
  const auto huge = add("aten.add.Tensor", {input({1, 4}), constant({}, 4e15f)});
  const auto large = add("aten.add.Tensor", {input({1, 4}, "y"), constant({}, 3e15f)});
  graph.set_outputs({graph.output(huge), graph.output(large)});
  const auto found = annotated("int8-static", false);
  EXPECT_EQ(found.verdicts.at(huge).kind, Kind::float_by_rule);
  EXPECT_TRUE(quantized(found, large));
}
TEST_F(XnnpackQuantizer, AllOperandsOfAConcatenationShareOneScale) {
  const auto linear = add("aten.linear.default", {input({1, 4}), constant({4, 4})});
  const auto y = input({1, 4}, "y");
  const auto node = add("aten.cat.default", {y, graph.output(linear), y}, {{"dim", int64_t{1}}});
  graph.set_outputs({graph.output(node)});
  const auto found = annotated("int8-static", false);
  const ir::Place source{node, 1, false};  // the operand whose producer is quantized
  EXPECT_EQ(found.find(source)->kind, quantize::SpecKind::observed);
  for (const ir::Place place : {ir::Place{node, 0, false}, ir::Place{node, 2, false}, ir::Place{node, 0, true}})
    EXPECT_EQ(found.find(place)->sources, std::vector{source});
}
TEST_F(XnnpackQuantizer, EveryParameterReachesTheSpecs) {
  const auto node = add("aten.linear.default", {input({1, 4}), constant({4, 4})});
  graph.set_outputs({graph.output(node)});
  const recipe::Params params{{"per_channel", true},
                              {"act_qmin", int64_t{-64}},
                              {"act_qmax", int64_t{63}},
                              {"weight_qmin", int64_t{-8}},
                              {"weight_qmax", int64_t{7}}};
  const auto found = annotate({"xnnpack", "int8-static", params, {}, {"test"}});
  ASSERT_TRUE(found) << found.error().text();
  const quantize::Spec &data = *found->find({node, 0, false}), &weight = *found->find({node, 1, false});
  EXPECT_EQ(std::pair(data.qmin, data.qmax), std::pair(-64, 63));
  EXPECT_EQ(std::pair(weight.qmin, weight.qmax), std::pair(-8, 7));
  EXPECT_EQ(weight.scheme, Scheme::per_channel);
  EXPECT_TRUE(weight.symmetric && !data.symmetric);
  EXPECT_EQ(data.eps, 1.0 / 4096);
}
TEST_F(XnnpackQuantizer, TrainingAsksForMovingAverages) {
  const auto node = add("aten.linear.default", {input({1, 4}), constant({4, 4})});
  graph.set_outputs({graph.output(node)});
  const auto by_parameter = annotate({"xnnpack", "int8-static", {{"is_qat", true}}, {}, {"test"}});
  ASSERT_TRUE(by_parameter) << by_parameter.error().text();
  for (const ir::Place place : {ir::Place{node, 0, false}, ir::Place{node, 1, false}, ir::Place{node, 0, true}})
    EXPECT_EQ(by_parameter->find(place)->observer, "moving_average");

  auto backend = Plugin::get().open();
  ASSERT_TRUE(backend) << backend.error().text();
  quantize::Assignment assignment{*backend, {"xnnpack", "int8-static", {}, {}, {"test"}}};
  assignment.is_qat = true;
  const auto by_request = quantize::annotate(graph, {assignment}, notes);
  ASSERT_TRUE(by_request) << by_request.error().text();
  EXPECT_EQ(by_request->all(), by_parameter->all());

  const auto dynamic = annotate({"xnnpack", "int8-dynamic", {{"is_qat", true}}, {}, {"test"}});
  ASSERT_TRUE(dynamic) << dynamic.error().text();
  EXPECT_TRUE(dynamic->find({node, 0, false})->dynamic);
  EXPECT_EQ(dynamic->find({node, 1, false})->observer, "moving_average");
}
TEST_F(XnnpackQuantizer, EmptyRangesAreRefusedWithAReason) {
  graph.set_outputs({graph.output(add("aten.linear.default", {input({1, 4}), constant({4, 4})}))});
  const std::vector<std::pair<recipe::Params, std::string>> cases{
      {{{"act_qmin", int64_t{0}}, {"act_qmax", int64_t{0}}}, "act_qmin"},
      {{{"weight_qmin", int64_t{0}}, {"weight_qmax", int64_t{0}}}, "weight_qmin"}};
  for (const auto& [params, word] : cases) {
    const auto found = annotate({"xnnpack", "", params, {}, {"test"}});
    ASSERT_FALSE(found) << word;
    EXPECT_EQ(found.error().code, Code::plugin);
    EXPECT_NE(found.error().text().find(word), std::string::npos) << found.error().text();
  }
}
TEST_F(XnnpackQuantizer, EveryNodeInFloatHasAReason) {
  const auto softmax = add("aten.softmax.int", {input({1, 4})}, {{"dim", int64_t{-1}}});
  const auto view = add("aten.permute.default", {graph.output(softmax)}, {{"dims", std::vector<int64_t>{1, 0}}});
  graph.set_outputs({graph.output(view)});
  const auto found = annotated("int8-static", false);
  EXPECT_NE(found.verdicts.at(softmax).reason.find("no rule"), std::string::npos);
  EXPECT_NE(found.verdicts.at(view).reason.find("not quantized"), std::string::npos);
}

}  // namespace
}  // namespace quoin::parity
