#include <gtest/gtest.h>

#include "ir/print.hpp"
#include "ir/snapshot.hpp"
#include "ir/verify.hpp"

namespace quoin::ir {
namespace {

Tensor floats(Shape shape, float value) {
  Tensor tensor(DType::f32, std::move(shape));
  for (float& v : tensor.as<float>()) v = value;
  return tensor;
}

std::shared_ptr<const QParams> int8(float scale, int32_t zero_point) {
  QParams q;
  q.scale = {scale};
  q.zero_point = {zero_point};
  return std::make_shared<const QParams>(q);
}

// x -> linear(w, b) -> relu -> add(relu, relu) -> output
class Chain : public testing::Test {
 protected:
  void SetUp() override {
    x = graph.add_input("x", {DType::f32, {2, 3}, nullptr});
    w = graph.add_constant("w", floats({4, 3}, 0.5f));
    b = graph.add_constant("b", floats({4}, 1));
    linear = *graph.add_node("aten.linear.default", {x, w, b}, {}, "fc",
                             {{{"net.fc", "torch.nn.Linear"}}, "net.py:7", 11, {}});
    relu = *graph.add_node("aten.relu.default", {graph.output(linear)}, {}, "act");
    add = *graph.add_node("aten.add.Tensor", {graph.output(relu), graph.output(relu)}, {}, "twice");
    graph.set_outputs({graph.output(add)});
  }
  Graph graph;
  ValueId x{}, w{}, b{};
  NodeId linear{}, relu{}, add{};
};

TEST_F(Chain, InfersAndVerifies) {
  EXPECT_EQ(graph.value(graph.output(linear)).type.shape, (Shape{2, 4}));
  EXPECT_TRUE(verify(graph)) << verify(graph).error().text();
}

TEST_F(Chain, UsersTellTheTwoOperandsApart) {
  const auto& users = graph.value(graph.output(relu)).users;
  ASSERT_EQ(users.size(), 2u);
  EXPECT_NE(users[0].slot, users[1].slot);
  EXPECT_EQ(graph.single_user(graph.output(relu)), kNone);
  EXPECT_EQ(graph.single_user(graph.output(linear)), relu);
  EXPECT_EQ(graph.single_user(graph.output(add)), kNone) << "a graph output has a reader outside";
}

TEST_F(Chain, UnknownOperatorNamesTheNearest) {
  const auto node = graph.add_node("aten.relo.default", {x}, {}, "bad");
  ASSERT_FALSE(node);
  EXPECT_EQ(node.error().code, Code::unsupported);
  EXPECT_NE(node.error().hint.find("aten.relu.default"), std::string::npos);
}

TEST_F(Chain, WrongShapesAreRefusedWithBothShapes) {
  const ValueId narrow = graph.add_input("narrow", {DType::f32, {2, 2}, nullptr});
  const auto node = graph.add_node("aten.linear.default", {narrow, w, b}, {}, "bad");
  ASSERT_FALSE(node);
  EXPECT_EQ(node.error().code, Code::model);
  EXPECT_NE(node.error().text().find("bad"), std::string::npos);
}

TEST_F(Chain, ReplaceUsesMovesOperandsAndOutputs) {
  graph.replace_uses(graph.output(relu), graph.output(linear));
  EXPECT_EQ(graph.erase_dead(), 1u);
  EXPECT_TRUE(verify(graph)) << verify(graph).error().text();
  EXPECT_EQ(graph.input(add, 0), graph.output(linear));
  EXPECT_EQ(graph.order(), (std::vector<NodeId>{linear, add}));
}

TEST_F(Chain, InsertedNodeComesBeforeItsReader) {
  const auto tanh = graph.add_node("aten.tanh.default", {graph.output(linear)}, {}, "t", {}, relu);
  ASSERT_TRUE(tanh);
  graph.set_input(relu, 0, graph.output(*tanh));
  EXPECT_EQ(graph.order(), (std::vector<NodeId>{linear, *tanh, relu, add}));
  EXPECT_TRUE(verify(graph));
}

TEST_F(Chain, NodeReadingALaterValueFailsVerification) {
  const auto tanh = graph.add_node("aten.tanh.default", {graph.output(add)}, {}, "late");
  graph.set_input(relu, 0, graph.output(*tanh));
  const Status status = verify(graph);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("node act"), std::string::npos) << status.error().text();
}

TEST_F(Chain, NamesAreUnique) {
  const ValueId second = graph.add_constant("w", floats({1}, 0));
  EXPECT_EQ(graph.value(second).name, "w_1");
}

TEST_F(Chain, RenamingAResultRenamesItsNode) {
  graph.rename(graph.output(add), "sum");
  EXPECT_EQ(graph.value(graph.output(add)).name, "sum");
  EXPECT_EQ(graph.node(add).name, "sum");
  graph.rename(graph.output(relu), "sum");
  EXPECT_EQ(graph.value(graph.output(relu)).name, "sum_1");
}

TEST_F(Chain, CompactKeepsTheTextOfTheGraph) {
  graph.replace_uses(graph.output(relu), graph.output(linear));
  graph.erase_dead();
  const Graph copy = graph.compact();
  EXPECT_EQ(copy.node_capacity(), 2u);
  EXPECT_TRUE(verify(copy));
  EXPECT_EQ(print(copy), print(graph));
}

TEST_F(Chain, PrintShowsTypesAttributesAndModules) {
  const std::string text = print(graph);
  EXPECT_NE(text.find("%fc: f32[2, 4] = aten.linear.default(%x, %w, %b)  # net.fc"), std::string::npos) << text;
  EXPECT_NE(text.find("return %twice"), std::string::npos);
}

TEST_F(Chain, QuantizedResultKeepsItsStorageTypeThroughInference) {
  TensorType& type = graph.value(graph.output(linear)).type;
  type.dtype = DType::s8;
  type.qparams = int8(0.1f, 3);
  ASSERT_TRUE(graph.infer());
  EXPECT_EQ(graph.value(graph.output(linear)).type.dtype, DType::s8);
  EXPECT_TRUE(verify(graph)) << verify(graph).error().text();
}

TEST_F(Chain, BrokenQParamsFailVerification) {
  TensorType& type = graph.value(graph.output(linear)).type;
  type.dtype = DType::s8;
  type.qparams = int8(0, 3);
  ASSERT_FALSE(verify(graph));
  EXPECT_NE(verify(graph).error().text().find("scale 0"), std::string::npos);
  QParams channels = *type.qparams;
  channels.scheme = Scheme::per_channel;
  channels.axis = 1;
  channels.scale = {1, 1};
  channels.zero_point.clear();
  type.qparams = std::make_shared<const QParams>(channels);
  ASSERT_FALSE(verify(graph));
  EXPECT_NE(verify(graph).error().text().find("2 scales where 4 are needed"), std::string::npos);
}

TEST_F(Chain, SnapshotOfTheWholeGraph) {
  const Snapshot snapshot = Snapshot::of(graph);
  const quoin_graph* view = snapshot.view();
  ASSERT_EQ(view->nodes.count, 3u);
  const auto* nodes = static_cast<const quoin_node*>(view->nodes.data);
  const auto* values = static_cast<const quoin_value*>(view->values.data);
  EXPECT_EQ(std::string_view(nodes[0].op.data, nodes[0].op.size), "aten.linear.default");
  EXPECT_EQ(std::string_view(nodes[0].scope.data, nodes[0].scope.size), "net.fc");
  EXPECT_EQ(nodes[0].debug_id, 11u);
  const quoin_value& doubled = values[nodes[1].outputs[0]];
  ASSERT_EQ(doubled.num_users, 2u);
  EXPECT_EQ(doubled.users[0].node, 2u);
  EXPECT_EQ(doubled.users[1].slot, 1u);
  EXPECT_EQ(values[nodes[0].inputs[1]].constant.size, 48u);
  EXPECT_EQ(values[view->inputs[0]].producer, QUOIN_NONE);
}

TEST_F(Chain, SnapshotOfAPartHasItsOwnInputsAndOutputs) {
  const std::vector<NodeId> part = {relu};
  const Snapshot snapshot = Snapshot::of(graph, part);
  const quoin_graph* view = snapshot.view();
  ASSERT_EQ(view->num_inputs, 1u);
  ASSERT_EQ(view->num_outputs, 1u);
  EXPECT_EQ(snapshot.value_ids()[view->inputs[0]], graph.output(linear));
  EXPECT_EQ(snapshot.value_ids()[view->outputs[0]], graph.output(relu));
}

}  // namespace
}  // namespace quoin::ir
