// What the kit generates is legal, means what it says, and depends on the seed only; what it compares with, compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "conform/accuracy.hpp"
#include "conform/graph_copy.hpp"
#include "conform/rewire.hpp"
#include "ir/print.hpp"
#include "ir/snapshot.hpp"
#include "ir/verify.hpp"
#include "ops/abi_read.hpp"
#include "quantize/quantize.hpp"

namespace quoin::conform {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class T>
T ok(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().text();
  return result ? *std::move(result) : T{};
}
std::string text(const ir::Graph& graph) { return ir::print(graph, ir::Detail::complete); }

host::Services& services() {
  static host::Services own{host::Services::Options{}};
  return own;
}

// Outputs on portable kernels for inputs that depend on the seed.
std::vector<Tensor> outputs(const ir::Graph& graph, uint32_t seed) {
  Dice dice(seed);
  const kernels::KernelSet kernels;
  auto interpreter = interpret::Interpreter::create(graph, kernels, services().table());
  if (!interpreter) ADD_FAILURE() << interpreter.error().text();
  return interpreter ? ok(interpreter->run(random_inputs(graph, dice, 1))) : std::vector<Tensor>{};
}

// -- the grid

TEST(Variant, ReadsDimsWordsAndNumbers) {
  const Variant v("1x3x7x70 k3 s2 nobias");
  EXPECT_EQ(v.shape(), (Shape{1, 3, 7, 70}));
  EXPECT_EQ(v.number("k", 1), 3);
  EXPECT_EQ(v.number("s", 1), 2);
  EXPECT_EQ(v.number("p", 7), 7);
  EXPECT_TRUE(v.has("nobias"));
  EXPECT_FALSE(v.has("bias"));
  EXPECT_THAT(Variant("scalar").shape(), IsEmpty());
}

TEST(Grid, EveryPointIsALegalGraphAroundItsOperator) {
  for (const GridPoint& point : grid(Profile::full)) {
    const auto graph = build(point, 1);
    ASSERT_TRUE(graph) << point.name() << ": " << graph.error().text();
    EXPECT_TRUE(ir::verify(*graph)) << point.name();
    EXPECT_TRUE(std::ranges::any_of(graph->order(), [&](ir::NodeId id) {
      return graph->node(id).op() == point.family->op;
    })) << point.name();
  }
}

TEST(Grid, NamesAreDifferentAndFullRunsHaveThoseOfQuickOnes) {
  std::set<std::string> quick, full;
  for (const GridPoint& point : grid(Profile::quick)) EXPECT_TRUE(quick.insert(point.name()).second) << point.name();
  for (const GridPoint& point : grid(Profile::full)) EXPECT_TRUE(full.insert(point.name()).second) << point.name();
  EXPECT_TRUE(std::ranges::includes(full, quick));
  EXPECT_GT(full.size(), quick.size() + 40);
}

TEST(Grid, TheSeedDecidesAboutEveryNumber) {
  const GridPoint point = grid(Profile::quick)[0];
  EXPECT_EQ(text(ok(build(point, 5))), text(ok(build(point, 5))));
  EXPECT_NE(text(ok(build(point, 5))), text(ok(build(point, 6))));
}

TEST(Grid, NetworksAreLegal) {
  for (uint64_t seed = 0; seed < 100; ++seed) EXPECT_TRUE(ir::verify(network(seed))) << seed;
  EXPECT_EQ(text(network(7)), text(network(7)));
}

// -- the same graph in other words

TEST(Rewire, AnotherOrderGivesTheSameResults) {
  size_t changed = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const ir::Graph graph = network(seed);
    Dice dice(seed);
    const ir::Graph other = shuffled(graph, dice);
    ASSERT_TRUE(ir::verify(other)) << seed;
    changed += text(graph) != text(other) ? 1 : 0;
    const auto expected = outputs(graph, 3), found = outputs(other, 3);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(same_bytes(expected[i], found[i])) << seed;
  }
  EXPECT_GT(changed, 30u);
}

TEST(Rewire, OtherInputShapesAreInferredThrough) {
  const ir::Graph graph = ok(build({&families()[0], Variant("1x3x8x8 k3 p1")}, 1));
  const ir::Graph larger = ok(resized(graph, {{2, 3, 10, 12}}));
  EXPECT_EQ(larger.value(larger.outputs()[0]).type.shape, (Shape{2, 4, 10, 12}));
  EXPECT_FALSE(resized(graph, {{1, 5, 8, 8}})) << "five channels do not fit the weight";
}

TEST(GraphCopy, RenumbersValuesAndKeepsTheRest) {
  const ir::Graph graph = network(4);
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  const quoin_graph& source = *snapshot.view();
  std::vector<uint32_t> backwards(source.values.count);
  std::iota(backwards.rbegin(), backwards.rend(), 0u);
  const GraphCopy copy(source, backwards);
  ASSERT_EQ(copy.view()->nodes.count, source.nodes.count);
  for (uint32_t i = 0; i < source.nodes.count; ++i) {
    const auto a = element<quoin_node>(source.nodes, i), b = element<quoin_node>(copy.view()->nodes, i);
    EXPECT_EQ(quoin::text(a.op), quoin::text(b.op));
    EXPECT_NE(a.op.data, b.op.data) << "memory of its own";
    for (uint32_t slot = 0; slot < a.num_inputs; ++slot) {
      if (a.inputs[slot] == QUOIN_NONE) {
        EXPECT_EQ(b.inputs[slot], QUOIN_NONE);
        continue;
      }
      EXPECT_EQ(b.inputs[slot], source.values.count - 1 - a.inputs[slot]);
      EXPECT_EQ(quoin::text(element<quoin_value>(source.values, a.inputs[slot]).name),
                quoin::text(element<quoin_value>(copy.view()->values, b.inputs[slot]).name));
    }
  }
}

TEST(GraphCopyDeathTest, ForbiddenMemoryCannotBeRead) {
  const ir::Graph graph = network(4);
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  const GraphCopy copy(*snapshot.view());
  EXPECT_EQ(copy.view()->struct_size, sizeof(quoin_graph));
  copy.forbid();
  EXPECT_DEATH((void)*static_cast<const volatile uint32_t*>(&copy.view()->struct_size), "");
}

// -- forms

TEST(Form, TheKitsInt8TypesWhatTheHostComputesOnIntegers) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const ir::Graph graph = network(seed);
    const auto annotations = annotate_int8(graph);
    ASSERT_TRUE(annotations) << annotations.error().text();
    EXPECT_TRUE(quantize::prepare(graph, *annotations, {"minmax", {}})) << seed;
  }
}

// -- comparisons

Tensor bytes(std::vector<int8_t> values) {
  return Tensor::of<int8_t>(DType::s8, {static_cast<int64_t>(values.size())}, std::span<const int8_t>(values));
}
Tensor floats(std::vector<float> values) {
  return Tensor::of<float>(DType::f32, {static_cast<int64_t>(values.size())}, std::span<const float>(values));
}

TEST(Difference, CountsStepsAndNamesTheWorst) {
  EXPECT_EQ(difference(bytes({1, 2, 3}), bytes({1, 2, 3}), {}), "");
  EXPECT_EQ(difference(bytes({1, 2, 3}), bytes({2, 2, 3}), {1, 0, 0, 0}), "");
  EXPECT_EQ(difference(bytes({1, 2, 3}), bytes({2, 2, 6}), {}),
            "element 2 of [3]: 6, expected 3 (3 steps, allowed 0; 2 of 3 elements are off)");
}

TEST(Difference, OfFloatsIsRelativeToTheLargest) {
  EXPECT_EQ(difference(floats({0, 100}), floats({5e-4f, 100}), {}), "");
  EXPECT_THAT(difference(floats({0, 100}), floats({2e-3f, 100}), {}), HasSubstr("element 0"));
  EXPECT_EQ(difference(floats({0, 1}), floats({0.25f, 1}), {1, 0, 0.25, 0}), "") << "one step of a dequantization";
  EXPECT_EQ(difference(floats({0, 0}), floats({5e-4f, 0}), {0, 1e-5, 0, 100}), "") << "what is left of 100 - 100";
  EXPECT_EQ(difference(floats({NAN, INFINITY}), floats({NAN, INFINITY}), {}), "");
  EXPECT_NE(difference(floats({1, 1}), floats({NAN, 1}), {}), "");
  EXPECT_NE(difference(floats({INFINITY}), floats({-INFINITY}), {}), "");
}

TEST(Difference, OfShapesAndTypesIsOne) {
  EXPECT_THAT(difference(bytes({1}), bytes({1, 2}), {}), HasSubstr("s8[2], expected s8[1]"));
  EXPECT_NE(difference(bytes({1}), floats({1}), {}), "");
}

}  // namespace
}  // namespace quoin::conform
