#include <gtest/gtest.h>

#include <cmath>

#include "host/services.hpp"
#include "ir/verify.hpp"
#include "passes/registry.hpp"
#include "ramp.hpp"

namespace quoin::passes {
namespace {

class Passes : public testing::Test {
 protected:
  std::vector<Tensor> run(const ir::Graph& g, const std::vector<Tensor>& inputs) {
    auto interpreter = interpret::Interpreter::create(g, kernels, services.table());
    EXPECT_TRUE(interpreter) << interpreter.error().text();
    auto outputs = interpreter->run(inputs);
    EXPECT_TRUE(outputs) << outputs.error().text();
    return *std::move(outputs);
  }
  ir::NodeId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}, const std::string& name = {}) {
    auto node = graph.add_node(op, std::move(inputs), std::move(attrs), name);
    EXPECT_TRUE(node) << node.error().text();
    return *node;
  }
  // conv(x) -> batch_norm -> output.
  ir::NodeId conv_batch_norm(bool with_bias) {
    const ir::ValueId x = graph.add_input("x", {DType::f32, {1, 2, 4, 4}, nullptr});
    const ir::ValueId w = graph.add_constant("w", ramp({3, 2, 3, 3}, -0.5f, 0.02f));
    const ir::ValueId b = with_bias ? graph.add_constant("b", ramp({3}, 1, 0.5f)) : ir::kNone;
    const ir::NodeId conv = add("aten.conv2d.default", {x, w, b}, {{"padding", std::vector<int64_t>{1, 1}}}, "conv");
    const auto channel = [&](const char* name, float start) {
      return graph.add_constant(name, ramp({3}, start, 0.25f));
    };
    const ir::NodeId norm = add(
        "aten.batch_norm.default",
        {graph.output(conv), channel("gamma", 0.5f), channel("beta", -1), channel("mean", 0.1f), channel("var", 0.4f)},
        {{"eps", 1e-3}}, "bn");
    graph.set_outputs({graph.output(norm)});
    return conv;
  }
  host::Services services{host::Services::Options{}};
  kernels::KernelSet kernels;
  ir::Graph graph;
};

TEST_F(Passes, BatchNormFoldingKeepsTheResult) {
  for (const bool with_bias : {false, true}) {
    graph = {};
    conv_batch_norm(with_bias);
    const Tensor x = ramp({1, 2, 4, 4}, -1, 0.07f);
    const std::vector<Tensor> before = run(graph, {x});
    ASSERT_TRUE(fold_batch_norm(graph));
    ASSERT_TRUE(ir::verify(graph)) << ir::verify(graph).error().text();
    EXPECT_EQ(graph.order().size(), 1u);
    const std::vector<Tensor> after = run(graph, {x});
    for (size_t i = 0; i < before[0].as<float>().size(); ++i)
      EXPECT_NEAR(after[0].as<float>()[i], before[0].as<float>()[i], 1e-5f);
  }
}

TEST_F(Passes, FoldedConvRemembersTheBatchNorm) {
  const ir::NodeId conv = conv_batch_norm(true);
  ASSERT_TRUE(fold_batch_norm(graph));
  EXPECT_EQ(graph.node(conv).origins, (std::vector<std::string>{"conv", "bn"}));
}

TEST_F(Passes, BatchNormOfASharedConvStays) {
  const ir::NodeId conv = conv_batch_norm(true);
  const ir::NodeId relu = add("aten.relu.default", {graph.output(conv)});
  graph.set_outputs({graph.outputs()[0], graph.output(relu)});
  ASSERT_TRUE(fold_batch_norm(graph));
  EXPECT_EQ(graph.order().size(), 3u);
}

TEST_F(Passes, WeightSharedByTwoConvsIsFoldedOnlyWhereTheNormIs) {
  const ir::NodeId conv = conv_batch_norm(true);
  const ir::ValueId w = graph.input(conv, 1);
  const ir::NodeId other = add("aten.conv2d.default", {graph.inputs()[0], w, ir::kNone}, {}, "other");
  graph.set_outputs({graph.outputs()[0], graph.output(other)});
  const Tensor x = ramp({1, 2, 4, 4}, -1, 0.07f);
  const std::vector<Tensor> before = run(graph, {x});
  ASSERT_TRUE(fold_batch_norm(graph));
  EXPECT_EQ(graph.input(other, 1), w);
  const std::vector<Tensor> after = run(graph, {x});
  EXPECT_TRUE(std::ranges::equal(before[1].as<float>(), after[1].as<float>()));
}

TEST_F(Passes, NoopsDisappear) {
  const ir::ValueId x = graph.add_input("x", {DType::f32, {2, 6}, nullptr});
  const ir::NodeId drop = add("aten.dropout.default", {x}, {{"p", 0.5}, {"train", false}});
  const ir::NodeId same = add("aten.view.default", {graph.output(drop)}, {{"size", std::vector<int64_t>{2, 6}}});
  const ir::NodeId other = add("aten.view.default", {graph.output(same)}, {{"size", std::vector<int64_t>{3, 4}}});
  graph.set_outputs({graph.output(other)});
  ASSERT_TRUE(remove_noops(graph));
  EXPECT_EQ(graph.order(), std::vector<ir::NodeId>{other});
  EXPECT_EQ(graph.input(other, 0), x);
  EXPECT_TRUE(ir::verify(graph));
}

TEST_F(Passes, ConstantsFoldAndTheRestStays) {
  const ir::ValueId x = graph.add_input("x", {DType::f32, {4}, nullptr});
  const ir::NodeId full = add("aten.full.default", {}, {{"size", std::vector<int64_t>{4}}, {"fill_value", 2.0}});
  const ir::NodeId exp = add("aten.exp.default", {graph.output(full)});
  const ir::NodeId sum = add("aten.add.Tensor", {x, graph.output(exp)});
  graph.set_outputs({graph.output(sum)});
  ASSERT_TRUE(fold_constants(graph, kernels, services.table()));
  graph.erase_dead();
  EXPECT_EQ(graph.order(), std::vector<ir::NodeId>{sum});
  const auto folded = graph.value(graph.input(sum, 1)).constant;
  ASSERT_TRUE(folded);
  EXPECT_FLOAT_EQ(folded->as<float>()[3], std::exp(2.0f));
}

TEST_F(Passes, ConstantsThatDoubleEndInsideTheBudget) {
  const ir::ValueId x = graph.add_input("x", {DType::f32, {1}, nullptr});
  ir::ValueId value = graph.add_constant("w", ramp({1}, 1, 0));
  for (int i = 0; i < 34; ++i) value = graph.output(add("aten.cat.default", {value, value}, {{"dim", int64_t{0}}}));
  graph.set_outputs({graph.output(add("aten.add.Tensor", {x, value}))});
  ASSERT_TRUE(fold_constants(graph, kernels, services.table()));
  size_t bytes = 0;
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.is_constant(id)) bytes += graph.value(id).constant->bytes();
  EXPECT_GT(bytes, size_t{1} << 20) << "small ones fold";
  EXPECT_LE(bytes, size_t{65} << 20);
}

TEST_F(Passes, ScalarOperandBecomesAConstant) {
  const ir::ValueId x = graph.add_input("x", {DType::f32, {4}, nullptr});
  const ir::NodeId mul = add("aten.mul.Scalar", {x}, {{"other", 0.25}}, "scaled");
  graph.set_outputs({graph.output(mul)});
  const Tensor sample = ramp({4}, 1, 1);
  const std::vector<Tensor> before = run(graph, {sample});
  ASSERT_TRUE(Registry().run("scalar-to-constant", graph));
  EXPECT_EQ(graph.node(graph.order()[0]).op(), "aten.mul.Tensor");
  const std::vector<Tensor> after = run(graph, {sample});
  EXPECT_TRUE(std::ranges::equal(before[0].as<float>(), after[0].as<float>()));
}

TEST_F(Passes, AlphaOfAScalarAddStays) {
  const ir::ValueId x = graph.add_input("x", {DType::f32, {4}, nullptr});
  const ir::NodeId sum = add("aten.add.Scalar", {x}, {{"other", 3.0}, {"alpha", 2.0}});
  graph.set_outputs({graph.output(sum)});
  ASSERT_TRUE(scalar_to_constant(graph));
  EXPECT_EQ(run(graph, {ramp({4}, 0, 1)})[0].as<float>()[1], 7.0f);
}

TEST_F(Passes, UnknownNameGivesTheNearest) {
  const Status status = Registry().run("fold-batchnorm", graph);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::plugin);
  EXPECT_NE(status.error().hint.find("fold-batch-norm"), std::string::npos);
}

}  // namespace
}  // namespace quoin::passes
