// Random graphs: plans never overlap what lives together, and come close to what must live together at least.
#include <gtest/gtest.h>

#include <random>

#include "lower/lower.hpp"
#include "program/file.hpp"
#include "program/lifetime.hpp"

namespace quoin::lower {
namespace {

// `count` nodes that each read up to three of the latest `reach` values; results have random sizes. The operators do
// not fit the shapes: the planner only looks at lifetimes.
program::Graph random_graph(std::mt19937& random, size_t count, size_t reach, bool views) {
  program::Graph graph;
  const auto value = [&](Shape shape) {
    graph.values.push_back({"v", {DType::u8, std::move(shape), nullptr}, {}, 0});
    return static_cast<uint32_t>(graph.values.size() - 1);
  };
  graph.inputs = {value({64})};
  for (size_t i = 0; i < count; ++i) {
    program::Node node;
    const size_t known = graph.values.size();
    for (size_t n = 1 + random() % 3; n > 0; --n)
      node.inputs.push_back(static_cast<uint32_t>(known - 1 - random() % std::min(reach, known)));
    const bool view = views && random() % 4 == 0;
    node.op = view ? "aten.view.default" : "aten.relu.default";
    const Shape shape = view ? graph.values[node.inputs[0]].type.shape : Shape{static_cast<int64_t>(random() % 5000)};
    node.outputs = {value(shape)};
    graph.nodes.push_back(std::move(node));
  }
  graph.outputs = {static_cast<uint32_t>(graph.values.size() - 1)};
  return graph;
}

// The most bytes that are needed at any one node.
uint64_t lower_bound(const std::vector<program::Storage>& storages, size_t nodes) {
  uint64_t most = 0;
  for (uint32_t at = 0; at < nodes; ++at) {
    uint64_t now = 0;
    for (const program::Storage& s : storages)
      if (s.first <= at && at <= s.last) now += (s.size + 63) / 64 * 64;
    most = std::max(most, now);
  }
  return most;
}

void expect_no_overlap(const program::Graph& graph, const std::vector<program::Storage>& storages) {
  for (size_t a = 0; a < storages.size(); ++a) {
    const uint64_t start = graph.values[storages[a].value].offset;
    ASSERT_EQ(start % 64, 0u);
    ASSERT_LE(start + storages[a].size, graph.arena_size);
    for (size_t b = 0; b < a; ++b) {
      const uint64_t other = graph.values[storages[b].value].offset;
      const bool together = storages[a].first <= storages[b].last && storages[b].first <= storages[a].last;
      const bool overlap = start < other + storages[b].size && other < start + storages[a].size;
      ASSERT_FALSE(together && overlap) << "storages " << a << " and " << b;
    }
  }
}

class PlanMemory : public ::testing::TestWithParam<bool> {};

TEST_P(PlanMemory, NeverOverlapsAndStaysNearTheLowerBound) {
  std::mt19937 random(11);
  double ratio = 0;
  constexpr int kGraphs = 300;
  for (int i = 0; i < kGraphs; ++i) {
    program::Graph graph = random_graph(random, 5 + random() % 80, 1 + random() % 8, GetParam());
    plan_memory(graph);
    const auto storages = program::storages(graph, program::Joining::planned).all;
    expect_no_overlap(graph, storages);
    const uint64_t bound = lower_bound(storages, graph.nodes.size());
    ASSERT_GE(graph.arena_size, bound);
    ASSERT_LE(graph.arena_size, 2 * bound + 64);
    ratio += bound == 0 ? 1 : static_cast<double>(graph.arena_size) / static_cast<double>(bound);
  }
  RecordProperty("mean_ratio", std::to_string(ratio / kGraphs));
  EXPECT_LT(ratio / kGraphs, 1.15) << "of the lower bound on average";
}

INSTANTIATE_TEST_SUITE_P(Views, PlanMemory, ::testing::Bool(),
                         [](const auto& views) { return views.param ? "WithViews" : "WithoutViews"; });

TEST(PlanMemoryOnce, ViewsTakeNoPlaceOfTheirOwn) {
  program::Graph graph;
  const auto add = [&](const char* op, uint32_t input) {
    graph.values.push_back({"v", {DType::f32, {16}, nullptr}, {}, 0});
    program::Node node;
    node.op = op;
    node.inputs = {input};
    node.outputs = {static_cast<uint32_t>(graph.values.size() - 1)};
    graph.nodes.push_back(node);
    return node.outputs[0];
  };
  graph.values.push_back({"x", {DType::f32, {16}, nullptr}, {}, 0});
  graph.inputs = {0};
  const uint32_t first = add("aten.relu.default", 0);
  const uint32_t view = add("aten.view.default", first);
  graph.outputs = {add("aten.relu.default", view)};
  plan_memory(graph);
  EXPECT_EQ(graph.values[first].offset, graph.values[view].offset);
  EXPECT_EQ(graph.arena_size, 64u);
}

TEST(PlanMemoryOnce, ElementwiseOperatorsWriteOverOperandsThatEnd) {
  program::Graph graph;
  const auto add = [&](const char* op, std::vector<uint32_t> inputs, Shape shape) {
    graph.values.push_back({"v", {DType::f32, std::move(shape), nullptr}, {}, 0});
    program::Node node;
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {static_cast<uint32_t>(graph.values.size() - 1)};
    graph.nodes.push_back(node);
    return node.outputs[0];
  };
  graph.values.push_back({"x", {DType::f32, {4, 64}, nullptr}, {}, 0});
  graph.inputs = {0};
  const uint32_t first = add("aten.relu.default", {0}, {4, 64});
  const uint32_t row = add("aten.sum.dim_IntList", {first}, {64});
  const uint32_t kept = add("aten.exp.default", {first}, {4, 64});        // over first
  const uint32_t other = add("aten.relu.default", {kept}, {4, 64});       // kept is read later
  const uint32_t sum = add("aten.add.Tensor", {row, other}, {4, 64});     // over its second operand
  const uint32_t product = add("aten.mul.Tensor", {kept, sum}, {4, 64});  // over the first that ends
  graph.outputs = {add("aten.neg.default", {product}, {4, 64})};
  plan_memory(graph);
  const auto offset = [&](uint32_t value) { return graph.values[value].offset; };
  EXPECT_EQ(offset(kept), offset(first));
  EXPECT_NE(offset(other), offset(kept));
  EXPECT_EQ(offset(sum), offset(other));
  EXPECT_EQ(offset(product), offset(kept));
  EXPECT_EQ(graph.arena_size, 4u * 64 * 4 * 2 + 64 * 4);
  const auto all = program::storages(graph, program::Joining::planned).all;
  EXPECT_EQ(all.size(), 3u);
  expect_no_overlap(graph, all);
}

TEST(PlanMemoryOnce, IsDeterministic) {
  std::mt19937 random(5);
  program::Graph graph = random_graph(random, 60, 6, true);
  program::Graph again = graph;
  plan_memory(graph);
  plan_memory(again);
  for (size_t i = 0; i < graph.values.size(); ++i) EXPECT_EQ(graph.values[i].offset, again.values[i].offset);
}

}  // namespace
}  // namespace quoin::lower
