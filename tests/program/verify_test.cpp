// The meaning of a program: each case breaks one rule of a legal model and expects the path to the fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "bytes.hpp"
#include "models.hpp"
#include "program/flatten.hpp"
#include "program/view/lifetime.hpp"

namespace quoin::program::testing {
namespace {

struct Fault {
  std::string name;
  std::function<void(Model&)> make;
  std::string message;  // a part of the error's text
  Code code = Code::program;
};

std::shared_ptr<const QParams> changed(const std::function<void(QParams&)>& change) {
  QParams q = *int8(0.5f, 3);
  change(q);
  return std::make_shared<const QParams>(q);
}

// Values of small_model: 0 x, 1 w, 2 b, 3 fc, 4 relu, 5 call, 6 clamped, 7 quantized.
std::vector<Fault> faults() {
  return {
      {"OperandOutOfRange", [](Model& m) { m.methods[0].graph.nodes[1].inputs[0] = 90; },
       "node 1 (n1): input 0: value 90 of 8"},
      {"OperandNotYetComputed", [](Model& m) { m.methods[0].graph.nodes[0].inputs[0] = 4; },
       "node 0 (n0): input 0: value 4 (v4) is not computed"},
      {"ResultOutOfRange", [](Model& m) { m.methods[0].graph.nodes[1].outputs[0] = 8; },
       "node 1 (n1): output 0: value 8 of 8"},
      {"TwoProducers", [](Model& m) { m.methods[0].graph.nodes[1].outputs[0] = 3; },
       "output 0: value 3 (v3) has another source"},
      {"ConstantIsComputed", [](Model& m) { m.methods[0].graph.nodes[1].outputs[0] = 1; },
       "value 1 (w) has another source"},
      {"InputIsConstant", [](Model& m) { m.methods[0].graph.inputs[0] = 1; },
       "graph input 0: value 1 (w) is a constant"},
      {"InputTwice", [](Model& m) { m.methods[0].graph.inputs.push_back(0); },
       "graph input 1: value 0 (x) is an input twice"},
      {"InputOutOfRange", [](Model& m) { m.methods[0].graph.inputs[0] = 77; }, "graph input 0: value 77 of 8"},
      {"OutputOutOfRange", [](Model& m) { m.methods[0].graph.outputs[0] = kNone; },
       "graph output 0: value 4294967295 of 8"},
      {"OrphanValue",
       [](Model& m) {
         m.methods[0].graph.values.push_back({"orphan", f32({1}), {}, 0});
       },
       "value 8 (orphan) is neither"},
      {"UnknownOperator", [](Model& m) { m.methods[0].graph.nodes[1].op = "aten.relo.default"; },
       "\"aten.relo.default\" is not known", Code::program_version},
      {"AttributesIncomplete", [](Model& m) { m.methods[0].graph.nodes[3].attrs.clear(); },
       "node 3 (n3): attributes are not complete"},
      {"AttributeOfWrongKind", [](Model& m) { m.methods[0].graph.nodes[3].attrs["min_val"] = std::string("low"); },
       "attribute min_val"},
      {"WrongShape",
       [](Model& m) {
         m.methods[0].graph.values[4].type.shape = {2, 5};
       },
       "node 1 (n1): output 0: value 4 (v4) is f32[2, 5], the operator gives f32[2, 4]"},
      {"WrongElementType", [](Model& m) { m.methods[0].graph.values[4].type.dtype = DType::s32; },
       "the operator gives f32[2, 4]"},
      {"TooManyResults",
       [](Model& m) {
         m.methods[0].graph.nodes[1].outputs.push_back(8);
         m.methods[0].graph.values.push_back({"second", f32({1}), {}, 0});
       },
       "2 results, the operator has 1"},
      {"MissingOperand", [](Model& m) { m.methods[0].graph.nodes[0].inputs = {0}; }, "operands"},
      {"ConstantOfOtherShape",
       [](Model& m) {
         m.methods[0].graph.values[1].constant = floats({2, 2}, 0);
       },
       "value 1 (w): declared f32[4, 3] but holds f32[2, 2]"},
      {"RankOverLimit", [](Model& m) { m.methods[0].graph.values[0].type.shape = Shape(9, 1); }, "value 0 (x)",
       Code::limit},
      {"NegativeDim", [](Model& m) { m.methods[0].graph.values[0].type.shape = {-1}; }, "value 0 (x)", Code::limit},
      {"HugeShape", [](Model& m) { m.methods[0].graph.values[0].type.shape = Shape(8, int64_t{1} << 40); },
       "value 0 (x)", Code::limit},
      {"LongName", [](Model& m) { m.methods[0].graph.values[0].name.resize(70000, 'x'); }, "70000 bytes", Code::limit},
      {"ScaleCount",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) {
                        q.scale = {1, 2};
                      }); },
       "value 7 (v7): 2 scales where 1 are needed"},
      {"ZeroScale",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.scale = {0}; }); },
       "scale 0: 0 is not a positive"},
      {"InfiniteScale",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.scale = {INFINITY}; }); },
       "scale 0: inf"},
      {"NanScale",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.scale = {NAN}; }); },
       "scale 0: nan"},
      {"ZeroPointOutside",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.zero_point = {200}; }); },
       "zero point 0: 200 is outside s8"},
      {"RangeOutside",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.qmax = 300; }); },
       "integer range -128..300 of s8"},
      {"ChannelAxis",
       [](Model& m) {
         m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) {
           q.scheme = Scheme::per_channel;
           q.axis = 5;
         });
       },
       "channel axis 5 of a rank 2"},
      {"GroupOfZero",
       [](Model& m) {
         m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.scheme = Scheme::per_group; });
       },
       "group size 0"},
      {"OtherStorage",
       [](Model& m) { m.methods[0].graph.values[7].type.qparams = changed([](QParams& q) { q.dtype = DType::u8; }); },
       "stored as s8, but its qparams say u8"},
      {"UnalignedOffset", [](Model& m) { m.methods[0].graph.values[4].offset = 8; },
       "memory plan: value 4 (v4): arena offset 8"},
      {"OutsideArena", [](Model& m) { m.methods[0].graph.values[4].offset = 128; }, "outside the arena of 128"},
      {"OffsetOverflows", [](Model& m) { m.methods[0].graph.values[4].offset = ~uint64_t{63}; }, "outside the arena"},
      {"LivesOverlap", [](Model& m) { m.methods[0].graph.values[5].offset = 64; },
       "memory plan: value 4 (v4) and value 5 (call) overlap"},
      {"ArenaTooLarge", [](Model& m) { m.methods[0].graph.arena_size = 1 << 20; }, "an arena of 1048576 bytes"},
      {"OffsetOfInput", [](Model& m) { m.methods[0].graph.values[0].offset = 64; }, "value 0 (x): has an arena offset"},
      {"DelegateOutOfRange", [](Model& m) { m.methods[0].graph.nodes[2].delegate = 1; },
       "node 2 (npu_0): delegate 1 of 1"},
      {"DelegateNotCalled", [](Model& m) { m.delegates.push_back(m.delegates[0]); },
       "delegate 1 (npu): no node calls it"},
      {"DelegateWithOperator", [](Model& m) { m.methods[0].graph.nodes[1].delegate = 0; }, "with delegate 0"},
      {"DelegateWithAttributes", [](Model& m) { m.methods[0].graph.nodes[2].attrs["a"] = true; }, "has attributes"},
      {"NestedDelegate", [](Model& m) { m.delegates[0].original->nodes[0].op.clear(); },
       "delegate 0 (npu): original: node 0 (n0): calls a delegate"},
      {"OriginalOfOtherType", [](Model& m) { m.delegates[0].original->inputs.clear(); }, "delegate 0 (npu)"},
      {"OriginalReturnsInput", [](Model& m) { m.delegates[0].original->outputs = {0}; }, "delegate 0 (npu): original"},
      {"DelegateWithoutPlugin", [](Model& m) { m.delegates[0].plugin.clear(); }, "no plugin is named"},
  };
}

class Verify : public ::testing::TestWithParam<Fault> {};

TEST_P(Verify, FindsTheFaultAndItsPath) {
  Model model = small_model();
  ASSERT_TRUE(verify(model));
  GetParam().make(model);
  const Status status = verify(model);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), ::testing::HasSubstr(GetParam().message));
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().text();
  EXPECT_FALSE(serialize(model)) << "a faulty model must not reach a file";
}

INSTANTIATE_TEST_SUITE_P(Faults, Verify, ::testing::ValuesIn(faults()),
                         [](const auto& fault) { return fault.param.name; });

// relu -> view -> softmax, where the view may lie on its operand.
Model with_view(uint64_t view_offset, uint64_t last_offset) {
  GraphBuilder b;
  const uint32_t x = b.input("x", f32({2, 4}));
  const uint32_t first = b.node("aten.relu.default", {x}, f32({2, 4}));
  const uint32_t view = b.node("aten.view.default", {first}, f32({8}), {{"size", std::vector<int64_t>{8}}});
  const uint32_t last = b.node("aten.softmax.int", {view}, f32({8}), {{"dim", int64_t{0}}});
  b.graph.outputs = {b.node("aten.relu.default", {last}, f32({8}))};
  b.graph.values[first].offset = 0;
  b.graph.values[view].offset = view_offset;
  b.graph.values[last].offset = last_offset;
  b.graph.arena_size = std::max(view_offset, last_offset) + 64;
  Model model;
  model.methods = {{"forward", b.graph}};
  return model;
}

TEST(MemoryPlan, ViewMayShareItsOperandsPlace) { EXPECT_TRUE(verify(with_view(0, 64))); }

TEST(MemoryPlan, ViewExtendsTheLifeOfItsOperand) {
  const Status status = verify(with_view(0, 0));
  ASSERT_FALSE(status) << "the view still reads the place that the last node writes";
  EXPECT_THAT(status.error().text(), ::testing::HasSubstr("overlap"));
}

// first = relu(x), second = `op`(first), added to an operand that `late` picks.
struct Overwriting {
  std::string name, op, message;  // "": legal
  bool late = false;              // the operand is read again by the node behind
  friend void PrintTo(const Overwriting& o, std::ostream* out) { *out << o.name; }
};

class InPlace : public ::testing::TestWithParam<Overwriting> {};

TEST_P(InPlace, OnlyWhatTheRuleAllows) {
  GraphBuilder b;
  const uint32_t x = b.input("x", f32({2, 8}));
  const uint32_t first = b.node("aten.relu.default", {x}, f32({2, 8}));
  Attrs attrs;
  if (GetParam().op == "aten.softmax.int") attrs = {{"dim", int64_t{1}}};
  const bool narrow = GetParam().op == "quoin.quantize.default";
  const uint32_t second = b.node(GetParam().op, {first}, narrow ? s8({2, 8}) : f32({2, 8}), std::move(attrs));
  const uint32_t real = narrow ? b.node("quoin.dequantize.default", {second}, f32({2, 8})) : second;
  b.graph.outputs = {b.node("aten.maximum.default", {GetParam().late ? first : x, real}, f32({2, 8}))};
  if (narrow) b.graph.values[real].offset = 64;
  b.graph.arena_size = narrow ? 128 : 64;
  Model model;
  model.methods = {{"forward", b.graph}};
  const Status status = verify(model);
  if (GetParam().message.empty()) {
    ASSERT_TRUE(status) << status.error().text();
    Arena memory(heap());
    const view::Graph& flat = flatten(b.graph, memory);
    std::span<bool> arena;
    quoin::Fault fault;
    ASSERT_TRUE(view::in_arena(flat, memory, arena, fault));
    EXPECT_TRUE(view::runs_in_place(flat, arena));
  } else {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::program);
    EXPECT_THAT(status.error().text(), ::testing::HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, InPlace,
    ::testing::Values(Overwriting{"Elementwise", "aten.exp.default", ""},
                      Overwriting{"ReadLater", "aten.exp.default", "value 1 (v1) and value 2 (v2) overlap", true},
                      Overwriting{"NotElementwise", "aten.softmax.int", "value 1 (v1) and value 2 (v2) overlap"},
                      Overwriting{"OtherElementSize", "quoin.quantize.default",
                                  "value 1 (v1) and value 2 (v2) overlap"}),
    [](const auto& p) { return p.param.name; });

TEST(MemoryPlan, ViewMayBeCopied) { EXPECT_TRUE(verify(with_view(64, 0))); }

}  // namespace
}  // namespace quoin::program::testing
