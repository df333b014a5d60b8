// Methods, states and dynamic dims: each case breaks one rule of a legal model and expects the path to the fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "bytes.hpp"
#include "models.hpp"
#include "program/flatten.hpp"
#include "program/length.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::testing {
namespace {

struct Fault {
  std::string name;
  std::function<void(Model&)> make;
  std::string message;  // a part of the error's text
  Code code = Code::program;
};

Graph& prefill(Model& m) { return m.methods[0].graph; }
Graph& decode(Model& m) { return m.methods[1].graph; }
State& state(Model& m) { return decode(m).states[0]; }

// Adds neg(keys), which reads what the state held before the update.
void read_old_content(Graph& graph) {
  GraphBuilder b{graph};
  b.graph.outputs.push_back(b.node("aten.neg.default", {b.graph.inputs[2]}, f32({8, 1, 2})));
  graph = b.graph;
}

std::vector<Fault> faults() {
  return {
      {"NoMethods", [](Model& m) { m.methods.clear(); }, "it has no methods"},
      {"TooManyMethods", [](Model& m) { m.methods.resize(2000); }, "2000 methods, at most 1024", Code::limit},
      {"TwoMethodsOfOneName", [](Model& m) { m.methods[1].name = "prefill"; },
       "method 1 (prefill): two methods have this name"},
      {"MethodWithoutName", [](Model& m) { m.methods[1].name.clear(); }, "method 1 (): it has no name"},
      {"DelegateOfTwoMethods", [](Model& m) { decode(m) = attention_graph(1, false, true); },
       "method 1 (decode): node 0 (npu_0): delegate 0 is called twice"},
      {"DelegateOfNoMethod", [](Model& m) { m.methods.erase(m.methods.begin()); },
       "delegate 0 (npu): no node calls it"},
      {"FaultInAMethod", [](Model& m) { decode(m).nodes[1].inputs[0] = 90; },
       "method 1 (decode): node 1 (n1): input 0: value 90 of 5"},

      {"StateWithoutInput", [](Model& m) { state(m).input = 3; }, "method 1 (decode): state 0 (keys): input 3 of 3"},
      {"StateWithoutOutput", [](Model& m) { state(m).output = kNone; }, "state 0 (keys): output 4294967295 of 2"},
      {"StateOfOtherType", [](Model& m) { state(m).output = 0; }, "f32[8, 1, 2] before a run, f32[1, 1, 2] after it"},
      {"TwoStatesOfOneName",
       [](Model& m) {
         decode(m).states.push_back({"keys", 0, 0, false});
       },
       "method 1 (decode): state 1 (keys): two states have this name"},
      {"TwoStatesInOneBuffer",
       [](Model& m) {
         decode(m).states.push_back({"more", 2, 1, true});
       },
       "state 1 (more): another state has its input or output"},
      {"TooManyStates", [](Model& m) { decode(m).states.resize(70000); }, "70000 states", Code::limit},
      {"LongStateName", [](Model& m) { state(m).name.resize(70000, 'x'); }, "70000 bytes", Code::limit},
      {"StateListedTwice", [](Model& m) { decode(m).outputs.push_back(3); }, "its output is listed twice"},
      {"OldContentIsReturned", [](Model& m) { decode(m).outputs.push_back(2); }, "its input is another output"},
      {"OldContentIsRead", [](Model& m) { read_old_content(decode(m)); }, "is not all that reads its old content"},
      {"UpdateByAnotherOperator",
       [](Model& m) {
         GraphBuilder b;
         const uint32_t x = b.input("keys", f32({8, 1, 2}));
         b.graph.outputs = {b.node("aten.neg.default", {x}, f32({8, 1, 2}))};
         b.graph.states = {{"keys", 0, 0, true}};
         decode(m) = b.graph;
       },
       "node n0 (aten.neg.default) does not update in place"},
      {"StateThatIsAnInput",
       [](Model& m) {
         GraphBuilder b;
         const uint32_t x = b.input("x", f32({8, 1, 2}));
         b.input("keys", f32({8, 1, 2}));
         b.graph.outputs = {x};
         b.graph.states = {{"keys", 1, 0, false}};
         decode(m) = b.graph;
       },
       "its output is no result of a node"},
      {"MethodsDisagree",
       [](Model& m) {
         for (const uint32_t id : {2, 3}) decode(m).values[id].type = f32({9, 1, 2});
       },
       "state keys is f32[8, 1, 2] in method prefill and f32[9, 1, 2] in method decode"},
      {"OriginalReturnsTheOldContent",
       [](Model& m) {
         read_old_content(decode(m));
         m.delegates[0].original->outputs = {0};
       },
       "method 1 (decode): state 0 (keys)"},
      {"OriginalHasStates",
       [](Model& m) {
         m.delegates[0].original->states = {{"keys", 0, 0, true}};
       },
       "delegate 0 (npu): original: it has states of its own"},
      {"OriginalReadsTheOldContent",
       [](Model& m) {
         Graph& original = *m.delegates[0].original;
         GraphBuilder b{original};
         const uint32_t old = b.node("aten.neg.default", {original.inputs[0]}, f32({8, 1, 2}));
         b.graph.arena_size = 64;
         static_cast<void>(old);
         original = b.graph;
       },
       "delegate 0 (npu): original: input value 0 (keys): it is updated in place, but node n0 is not all that reads"},

      {"DynamicBeyondTheRank", [](Model& m) { prefill(m).values[1].dynamic = 2; },
       "method 0 (prefill): value 1 (positions): dims 0x2 follow the length of a run, it has 1"},
      {"DynamicConstant",
       [](Model& m) {
         GraphBuilder b{prefill(m)};
         b.graph.values[b.constant("c", floats({4}, 0))].dynamic = 1;
         prefill(m) = b.graph;
       },
       "a constant follows the length of a run"},
      {"DynamicWithoutInput", [](Model& m) { decode(m).values[4].dynamic = 1; },
       "follows the length of a run, which no input gives"},
      {"TwoLengths", [](Model& m) { prefill(m).values[0].dynamic = 1 | 4; },
       "f32[4, 1, 2] follows a length of at most 4"},
      {"LengthOfOne", [](Model& m) { decode(m).values[0].dynamic = 1; }, "which no input gives"},
      {"StaticResult", [](Model& m) { prefill(m).values[4].dynamic = 0; },
       "for a length of 3: output 0: value 4 (v4) is f32[4, 1, 2], the operator gives f32[3, 1, 2]"},
      {"DynamicState", [](Model& m) { prefill(m).values[2].dynamic = 1; },
       "f32[8, 1, 2] follows a length of at most 4"},
      {"OriginalOfFixedLength",
       [](Model& m) {
         for (Value& value : m.delegates[0].original->values) value.dynamic = 0;
       },
       "delegate 0 (npu): input 1 follows the length of a run by other dims than that of its original"},
  };
}

class MethodFaults : public ::testing::TestWithParam<Fault> {};

TEST_P(MethodFaults, FindsTheFaultAndItsPath) {
  Model model = language_model();
  const Status before = verify(model);
  ASSERT_TRUE(before) << before.error().text();
  GetParam().make(model);
  const Status status = verify(model);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), ::testing::HasSubstr(GetParam().message));
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().text();
  EXPECT_FALSE(serialize(model)) << "a faulty model must not reach a file";
}

INSTANTIATE_TEST_SUITE_P(Of, MethodFaults, ::testing::ValuesIn(faults()),
                         [](const auto& fault) { return fault.param.name; });

TEST(States, MayBeReadWhereTheyAreCopied) {
  Model model = language_model();
  read_old_content(decode(model));
  state(model).in_place = false;
  const Status status = verify(model);
  EXPECT_TRUE(status) << status.error().text();
}

TEST(States, MayStayAsTheyAre) {
  Model model = language_model();
  GraphBuilder b;
  const uint32_t keys = b.input("keys", f32({8, 1, 2}));
  b.graph.outputs = {keys, b.node("aten.neg.default", {keys}, f32({8, 1, 2}))};
  b.graph.states = {{"keys", 0, 0, false}};
  decode(model) = b.graph;
  const Status status = verify(model);
  EXPECT_TRUE(status) << status.error().text();
}

TEST(States, LieOutsideTheArena) {
  Model model = language_model();
  decode(model).values[3].offset = 64;
  EXPECT_THAT(verify(model).error().text(), ::testing::HasSubstr("does not live in the arena"));
}

TEST(Length, TypesAreThoseOfTheRun) {
  const Model model = language_model();
  const Graph& graph = model.methods[0].graph;
  EXPECT_EQ(longest(graph), 4);
  EXPECT_EQ(longest(model.methods[1].graph), 0);
  EXPECT_EQ(type_at(graph.values[0], 3).shape, (Shape{3, 1, 2}));
  EXPECT_EQ(type_at(graph.values[2], 3).shape, (Shape{8, 1, 2}));
  Arena memory(heap());
  const view::Graph& flat = flatten(graph, memory);
  quoin::Fault fault;
  for (int64_t length = 1; length <= 4; ++length) EXPECT_TRUE(view::verify_length(flat, length, fault)) << length;
}

TEST(TrustedWeights, AreNotHashedButEverythingElseIs) {
  const FileBytes file = *serialize(small_model());
  const ReadOptions trust{ReadOptions::Weights::trust};
  const auto read_damaged = [&](size_t segment) {
    FileBytes damaged = file;
    damaged[table_of(file)[segment].offset] ^= std::byte{1};
    const auto owner = std::make_shared<FileBytes>(std::move(damaged));
    return read(owner, *owner, "small.quoin", trust).has_value();
  };
  EXPECT_FALSE(read_damaged(0));
  EXPECT_TRUE(read_damaged(1));
  EXPECT_FALSE(read_damaged(2));
}

}  // namespace
}  // namespace quoin::program::testing
