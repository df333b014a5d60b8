#include "kernels/select.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <set>
#include <stdexcept>

#include "ir/snapshot.hpp"

namespace quoin::kernels {
namespace {

constexpr const char* kOp = "aten.relu.default";

quoin_status prepare(const quoin_host*, const quoin_graph*, uint32_t, void**, quoin_memory_need*, quoin_error*) {
  return QUOIN_OK;
}
quoin_status run(const quoin_host*, void*, const quoin_run*, quoin_error*) { return QUOIN_OK; }
int32_t refuse(const quoin_graph*, uint32_t) { return -1; }
template <int32_t kCost>
int32_t cost(const quoin_graph*, uint32_t) {
  return kCost;
}

quoin_kernel kernel(const char* name, int32_t priority = 0) {
  quoin_kernel out{};
  out.op = kOp;
  out.op_version = 1;
  out.name = name;
  out.priority = priority;
  out.prepare = prepare;
  out.run = run;
  return out;
}

class SelectTest : public testing::Test {
 protected:
  SelectTest() {
    const auto x = graph.add_input("x", {DType::f32, {4}, nullptr});
    graph.set_outputs(graph.node(*graph.add_node(kOp, {x}, {})).outputs);
  }
  void add(const std::string& provider, std::vector<quoin_kernel> kernels) {
    tables.push_back(std::move(kernels));
    set.add(provider, {tables.back().data(), static_cast<uint32_t>(tables.back().size()), sizeof(quoin_kernel)},
            diagnostics);
  }
  Result<Choice> select(uint64_t isa = 0) {
    const auto snapshot = ir::Snapshot::of(graph);
    return set.select(snapshot.view(), 0, isa);
  }
  std::string chosen(uint64_t isa = 0) {
    const auto choice = select(isa);
    return choice ? choice->kernel->name : choice.error().text();
  }
  ir::Graph graph;
  std::deque<std::vector<quoin_kernel>> tables;
  Diagnostics diagnostics;
  KernelSet set;
};

TEST_F(SelectTest, FallsBackToThePortableSet) {
  const auto choice = select();
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->provider, "portable");
  EXPECT_STREQ(choice->kernel->name, "portable_number:aten.relu.default");
  EXPECT_EQ(choice->passed_over,
            (std::vector<std::string>{
                "portable_integer:aten.relu.default: does not accept these shapes, types or attributes"}));
}

TEST_F(SelectTest, PrefersAnyPluginOverThePortableSet) {
  add("cpu", {kernel("slow", -100)});
  EXPECT_EQ(chosen(), "slow");
}

TEST_F(SelectTest, PrefersPriorityThenCostThenProviderThenName) {
  quoin_kernel cheap = kernel("z_cheap"), dear = kernel("a_dear");
  cheap.accepts = cost<1>;
  dear.accepts = cost<9>;
  add("first", {dear, cheap});
  EXPECT_EQ(chosen(), "z_cheap");
  quoin_kernel equal = kernel("a_second");
  equal.accepts = cost<1>;
  add("second", {equal});
  EXPECT_EQ(chosen(), "z_cheap");
  quoin_kernel sibling = kernel("y_cheap");
  sibling.accepts = cost<1>;
  add("first", {sibling});
  EXPECT_EQ(chosen(), "y_cheap");
  add("third", {kernel("urgent", 5)});
  EXPECT_EQ(chosen(), "urgent");
}

TEST_F(SelectTest, ForcedKernelsWinWhereTheyFit) {
  add("cpu", {kernel("fast", 9), kernel("odd")});
  set.force(kOp, "odd");
  EXPECT_EQ(chosen(), "odd");
  set.force(kOp, "portable_number:aten.relu.default");
  EXPECT_EQ(chosen(), "portable_number:aten.relu.default");
}

TEST_F(SelectTest, SaysWhenAForcedKernelCannotRun) {
  set.force(kOp, "missing");
  const auto choice = select();
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->passed_over.back(), "missing: forced by the recipe, but it cannot run this node");
}

TEST_F(SelectTest, WritesOverOperandsOnlyWithKernelsThatSaySo) {
  quoin_kernel able = kernel("able", 1);
  able.flags = QUOIN_IN_PLACE;
  add("npu", {kernel("apart", 9)});
  const auto snapshot = ir::Snapshot::of(graph);
  const auto portable = set.select(snapshot.view(), 0, 0, true);
  ASSERT_TRUE(portable);
  EXPECT_EQ(portable->provider, "portable");
  EXPECT_EQ(portable->passed_over.front(), "apart: does not write over its operands");
  add("npu", {able});
  EXPECT_STREQ(set.select(snapshot.view(), 0, 0, true)->kernel->name, "able");
  EXPECT_STREQ(set.select(snapshot.view(), 0, 0, false)->kernel->name, "apart");
}

TEST_F(SelectTest, GivesAReasonForEveryCandidate) {
  quoin_kernel vnni = kernel("vnni", 9), other = kernel("refuses"), typed = kernel("s8_only"), newer = kernel("newer");
  static const quoin_dtype signature[] = {QUOIN_S8, QUOIN_S8};
  vnni.isa = QUOIN_ISA_AVX512_VNNI;
  other.accepts = refuse;
  typed.signature = signature;
  typed.signature_size = 2;
  newer.op_version = 2;
  add("cpu", {vnni, other, typed, newer, kernel("denied"), kernel("good")});
  set.deny("denied");
  const auto choice = select();
  ASSERT_TRUE(choice);
  EXPECT_STREQ(choice->kernel->name, "good");
  const std::vector<std::string> expected{
      "vnni: isa not available",
      "refuses: does not accept these shapes, types or attributes",
      "s8_only: operand 0 is f32, not s8",
      "newer: made for version 2 of the operator, the node has 1",
      "denied: denied by the recipe",
      "portable_integer:aten.relu.default: does not accept these shapes, types or attributes",
      "portable_number:aten.relu.default: good is preferred"};
  EXPECT_EQ(choice->passed_over, expected);
  EXPECT_EQ(chosen(QUOIN_ISA_AVX512_VNNI | QUOIN_ISA_AVX2), "vnni");
}

TEST_F(SelectTest, WildcardSignaturesFitAnyType) {
  static const quoin_dtype signature[] = {0, QUOIN_F32};
  quoin_kernel any = kernel("any");
  any.signature = signature;
  any.signature_size = 2;
  add("cpu", {any});
  EXPECT_EQ(chosen(), "any");
}

TEST_F(SelectTest, FailsWithEveryReasonWhenNothingIsLeft) {
  set.deny("portable_number:aten.relu.default");
  EXPECT_EQ(
      chosen(),
      "no kernel for aten.relu.default; candidates: portable_integer:aten.relu.default: does not accept these shapes, "
      "types or attributes, portable_number:aten.relu.default: denied by the recipe");
}

TEST_F(SelectTest, ReadsShorterKernelStructsOfOlderPlugins) {
  struct Old {
    unsigned char bytes[offsetof(quoin_kernel, release)];
  };
  static Old old;
  const quoin_kernel full = kernel("old", 1);
  std::memcpy(&old, &full, sizeof old);
  set.add("old", {&old, 1, sizeof old}, diagnostics);
  const auto choice = select();
  ASSERT_TRUE(choice);
  EXPECT_STREQ(choice->kernel->name, "old");
  EXPECT_EQ(choice->kernel->release, nullptr);
}

TEST_F(SelectTest, LeavesOutBrokenKernelsAndSaysWhich) {
  quoin_kernel nameless = kernel("x"), without_op = kernel("no_op"), without_prepare = kernel("no_prepare"),
               without_run = kernel("no_run"), without_types = kernel("no_types");
  nameless.name = nullptr;
  without_op.op = nullptr;
  without_prepare.prepare = nullptr;
  without_run.run = nullptr;
  without_types.signature_size = 2;
  add("npu", {nameless, without_op, kernel("good"), without_prepare, without_run, without_types});
  EXPECT_EQ(chosen(), "good");
  std::vector<std::string> notes;
  for (const Note& note : diagnostics.notes()) notes.push_back(note.where + ": " + note.what);
  EXPECT_EQ(notes, (std::vector<std::string>{
                       "plugin npu: kernel 0 is left out: it has no name",
                       "plugin npu: kernel 1 (no_op) is left out: it names no operator",
                       "plugin npu: kernel 3 (no_prepare) is left out: it has no prepare function",
                       "plugin npu: kernel 4 (no_run) is left out: it has no run function",
                       "plugin npu: kernel 5 (no_types) is left out: its signature has 2 types at no address"}));
}

TEST_F(SelectTest, AKernelThatThrowsWhenAskedIsPassedOver) {
  quoin_kernel throwing = kernel("throwing");
  throwing.accepts = [](const quoin_graph*, uint32_t) -> int32_t { throw std::runtime_error("oops"); };
  add("npu", {throwing});
  const auto choice = select();
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->provider, "portable");
  EXPECT_EQ(choice->passed_over.front(), "throwing: let an exception escape from accepts(): oops");
}

TEST_F(SelectTest, KeepsWhatItsKernelsNeedUntilNothingUsesThem) {
  tables.push_back({kernel("kept")});
  auto library = std::make_shared<int>(0);
  set.add("npu", {tables.back().data(), 1, sizeof(quoin_kernel)}, diagnostics, library);
  EXPECT_EQ(library.use_count(), 2);
  {
    const auto choice = select();
    set.remove("npu");
    EXPECT_STREQ(choice->kernel->name, "kept");
    EXPECT_EQ(library.use_count(), 2) << "selected before it was removed";
  }
  EXPECT_EQ(library.use_count(), 1);
  EXPECT_EQ(select()->provider, "portable");
}

TEST(PortableSet, HasAKernelForEveryOperator) {
  std::set<std::string> ops;
  std::set<std::string> names;
  for (const quoin_kernel& row : portable()) {
    ops.insert(row.op);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_NE(find_op(row.op), nullptr) << row.op;
  }
  for (const OpSchema& schema : all_ops()) EXPECT_EQ(ops.count(schema.name), 1u) << schema.name;
}

}  // namespace
}  // namespace quoin::kernels
