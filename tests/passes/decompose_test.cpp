// Decompositions: the operators that remain, and results that stay equal up to float rounding.
#include <gtest/gtest.h>

#include <cmath>

#include "host/services.hpp"
#include "ir/verify.hpp"
#include "passes/registry.hpp"
#include "ramp.hpp"

namespace quoin::passes {
namespace {

class Decompose : public testing::Test {
 protected:
  ir::ValueId input(Shape shape) { return graph.add_input("x", {DType::f32, std::move(shape), nullptr}); }
  ir::ValueId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}) {
    auto node = graph.add_node(op, std::move(inputs), std::move(attrs), "n", {{{"body", "lib.Body"}}, "m.py:3", 7, {}});
    EXPECT_TRUE(node) << node.error().text();
    return graph.output(*node);
  }
  Tensor run(const Tensor& x) {
    auto interpreter = interpret::Interpreter::create(graph, kernels, services.table());
    EXPECT_TRUE(interpreter) << interpreter.error().text();
    auto outputs = interpreter->run(std::span(&x, 1));
    EXPECT_TRUE(outputs) << outputs.error().text();
    return std::move((*outputs)[0]);
  }
  std::vector<std::string> ops() const {
    std::vector<std::string> out;
    for (const ir::NodeId id : graph.order()) out.push_back(graph.node(id).op());
    return out;
  }
  // Runs the pass on a graph that ends in `result`: `expected` operators, equal outputs within `steps` of 2^-23.
  void expect(std::string_view pass, ir::ValueId result, const Tensor& x, const std::vector<std::string>& expected,
              float steps = 4) {
    graph.set_outputs({result});
    const Tensor before = run(x);
    const Status status = registry.run(pass, graph);
    ASSERT_TRUE(status) << status.error().text();
    EXPECT_EQ(ops(), expected);
    const Tensor after = run(x);
    ASSERT_EQ(after.shape(), before.shape());
    for (size_t i = 0; i < before.as<float>().size(); ++i) {
      const float wanted = before.as<float>()[i];
      EXPECT_LE(std::fabs(after.as<float>()[i] - wanted), steps * 0x1p-23f * std::max(std::fabs(wanted), 1.0f)) << i;
    }
  }
  host::Services services{host::Services::Options{}};
  kernels::KernelSet kernels;
  Registry registry;
  ir::Graph graph;
};

const std::string kAdd = "aten.add.Tensor", kMul = "aten.mul.Tensor", kClamp = "aten.hardtanh.default",
                  kLinear = "aten.linear.default";

TEST_F(Decompose, Hardsigmoid) {
  const auto x = input({64});
  expect("decompose-hardsigmoid", add("aten.hardsigmoid.default", {x}), ramp({64}, -6, 0.19f), {kAdd, kClamp, kMul});
}
TEST_F(Decompose, Hardswish) {
  const auto x = input({64});
  expect("decompose-hardswish", add("aten.hardswish.default", {x}), ramp({64}, -6, 0.19f), {kAdd, kClamp, kMul, kMul});
  for (const ir::NodeId id : graph.order()) {
    EXPECT_EQ(graph.node(id).module_path(), "body");
    EXPECT_EQ(graph.node(id).debug_id, 7u);
    EXPECT_EQ(graph.node(id).origins, std::vector<std::string>{"n"});
  }
}
TEST_F(Decompose, SiluBitForBit) {
  const auto x = input({64});
  expect("decompose-silu", add("aten.silu.default", {x}), ramp({64}, -6, 0.19f), {"aten.sigmoid.default", kMul}, 0);
}
TEST_F(Decompose, SubtractionOfAConstantBitForBit) {
  const auto x = input({2, 4});
  const auto c = graph.add_constant("c", ramp({4}, -1.3f, 0.7f));
  expect("constant-arithmetic", add("aten.sub.Tensor", {x, c}, {{"alpha", 0.5}}), ramp({2, 4}, -3, 0.77f), {kAdd}, 0);
}
TEST_F(Decompose, DivisionByAConstant) {
  const auto x = input({2, 4});
  const auto c = graph.add_constant("c", ramp({4}, -1.3f, 0.7f));
  expect("constant-arithmetic", add("aten.div.Tensor", {x, c}), ramp({2, 4}, -3, 0.77f), {kMul});
}
TEST_F(Decompose, DivisorsWithoutAReciprocalStay) {
  const auto x = input({2, 4});
  const auto zero = graph.add_constant("c", ramp({4}, -1, 1)), huge = graph.add_constant("h", ramp({}, 3e38f, 0));
  const auto divided = add("aten.div.Tensor", {add("aten.div.Tensor", {x, zero}), huge});
  graph.set_outputs({add("aten.sub.Tensor", {huge, divided})});
  ASSERT_TRUE(registry.run("constant-arithmetic", graph));
  EXPECT_EQ(ops(), (std::vector<std::string>{"aten.div.Tensor", "aten.div.Tensor", "aten.sub.Tensor"}));
}
TEST_F(Decompose, MatmulWithAConstantIsALinear) {
  for (const char* op : {"aten.mm.default", "aten.matmul.default"}) {
    graph = {};
    const auto x = input({3, 8});
    const auto w = graph.add_constant("w", ramp({8, 5}, -1, 0.06f));
    expect("matmul-to-linear", add(op, {x, w}), ramp({3, 8}, -1, 0.11f), {kLinear}, 16);
  }
}
TEST_F(Decompose, AConstantAddedToAMatmulIsItsBias) {
  for (const bool product_first : {true, false}) {
    graph = {};
    const auto x = input({2, 3, 8});
    const auto w = graph.add_constant("w", ramp({8, 5}, -1, 0.06f)), b = graph.add_constant("b", ramp({5}, 3, -1.7f));
    const auto product = add("aten.matmul.default", {x, w});
    const auto sum = product_first ? add(kAdd, {product, b}) : add(kAdd, {b, product});
    expect("matmul-to-linear", sum, ramp({2, 3, 8}, -1, 0.05f), {kLinear}, 16);
    EXPECT_EQ(graph.node(graph.order()[0]).origins.size(), 2u);
  }
}
TEST_F(Decompose, SumsThatAreNoBiasStay) {
  const auto x = input({5, 8});
  const auto w = graph.add_constant("w", ramp({8, 5}, -1, 0.06f)), full = graph.add_constant("b", ramp({5, 5}, 3, -1)),
             row = graph.add_constant("r", ramp({5}, 1, 1));
  const auto product = add("aten.mm.default", {x, w});
  const auto twice = add(kAdd, {product, product});
  const auto weighted = add(kAdd, {add("aten.mm.default", {x, w}), row}, {{"alpha", 2.0}});
  expect("matmul-to-linear", add(kAdd, {add(kAdd, {twice, full}), weighted}), ramp({5, 8}, -1, 0.05f),
         {kLinear, kAdd, kLinear, kAdd, kAdd, kAdd}, 64);
}
TEST_F(Decompose, MatmulOfTwoActivationsStays) {
  const auto x = input({4, 4});
  graph.set_outputs({add("aten.mm.default", {x, x})});
  ASSERT_TRUE(registry.run("matmul-to-linear", graph));
  EXPECT_EQ(ops(), std::vector<std::string>{"aten.mm.default"});
}
TEST_F(Decompose, MeanOverTheImageIsAPool) {
  const auto x = input({1, 3, 4, 5});
  expect("mean-to-pool", add("aten.mean.dim", {x}, {{"dim", std::vector<int64_t>{-1, -2}}, {"keepdim", true}}),
         ramp({1, 3, 4, 5}, -1, 0.05f), {"aten.adaptive_avg_pool2d.default"}, 16);
}
TEST_F(Decompose, OtherMeansStay) {
  const auto x = input({1, 3, 4, 5});
  const auto a = add("aten.mean.dim", {x}, {{"dim", std::vector<int64_t>{2, 3}}, {"keepdim", false}});
  const auto b = add("aten.mean.dim", {x}, {{"dim", std::vector<int64_t>{1, 3}}, {"keepdim", true}});
  graph.set_outputs({a, b});
  ASSERT_TRUE(registry.run("mean-to-pool", graph));
  EXPECT_EQ(ops(), (std::vector<std::string>{"aten.mean.dim", "aten.mean.dim"}));
}
TEST_F(Decompose, IntegersStay) {
  const auto x = graph.add_input("i", {DType::s64, {4}, nullptr});
  const auto c = graph.add_constant("c", Tensor::of<int64_t>(DType::s64, {}, std::vector<int64_t>{3}));
  graph.set_outputs({add("aten.sub.Tensor", {x, c})});
  ASSERT_TRUE(registry.run("constant-arithmetic", graph));
  EXPECT_EQ(ops(), std::vector<std::string>{"aten.sub.Tensor"});
}
TEST_F(Decompose, EveryPassKeepsToItsFilter) {
  for (const Pass& pass : registry.all()) {
    graph = {};
    const auto x = input({4, 4});
    const auto w = graph.add_constant("w", ramp({4, 4}, 1, 0.06f));
    auto y = add("aten.silu.default", {add("aten.hardswish.default", {add("aten.hardsigmoid.default", {x})})});
    y = add("aten.div.Tensor", {add("aten.sub.Tensor", {add("aten.mm.default", {y, w}), w}), w});
    y = add("aten.clone.default", {add("aten.mul.Scalar", {y}, {{"other", 2.0}})});
    graph.set_outputs({y});
    const auto before = ops();
    ASSERT_TRUE(registry.run(pass.name, graph, [](const ir::Graph&, ir::NodeId) { return false; }));
    EXPECT_EQ(ops(), before) << pass.name;
  }
}

TEST_F(Decompose, RegistriesTakeNewNamesOnly) {
  EXPECT_FALSE(registry.add({"decompose-silu", "", [](ir::Graph&, const NodeFilter&) { return Status{}; }}));
  EXPECT_FALSE(registry.add({"", "", [](ir::Graph&, const NodeFilter&) { return Status{}; }}));
  EXPECT_FALSE(registry.add({"nothing", "", {}}));
  EXPECT_TRUE(registry.add({"mine", "", [](ir::Graph&, const NodeFilter&) { return Status{}; }}));
  EXPECT_NE(registry.find("mine"), nullptr);
  EXPECT_EQ(Registry().find("mine"), nullptr) << "registries are apart";
}
TEST_F(Decompose, PassesThatThrowOrBreakTheGraphAreNamed) {
  graph.set_outputs({add("aten.silu.default", {input({4})})});
  ASSERT_TRUE(registry.add(
      {"thrower", "", [](ir::Graph&, const NodeFilter&) -> Status { throw std::runtime_error("no such table"); }}));
  ASSERT_TRUE(registry.add({"breaker", "", [](ir::Graph& g, const NodeFilter&) {
                              g.value(g.inputs()[0]).type.shape = {5};
                              return Status{};
                            }}));
  for (const auto& [name, words] : {std::pair{"thrower", "no such table"}, {"breaker", "the pass broke the graph"}}) {
    const Status status = registry.run(name, graph);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::internal);
    EXPECT_NE(status.error().text().find(words), std::string::npos) << status.error().text();
    EXPECT_NE(status.error().text().find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace quoin::passes
