// A model that is flattened is what the reader makes of its file; and what flat structs cannot show is checked before.
#include "program/flatten.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytes.hpp"
#include "models.hpp"
#include "program/lift.hpp"
#include "program/view/open.hpp"
#include "program/view/text.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::testing {
namespace {

template <class T>
std::vector<T> copy(const view::List<T>& list) {
  return {list.begin(), list.end()};
}

void expect_same(const view::Value& a, const view::Value& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_STREQ(view::type_text(a).text(), view::type_text(b).text()) << a.name;
  EXPECT_EQ(a.dynamic, b.dynamic) << a.name;
  EXPECT_EQ(a.offset, b.offset) << a.name;
  EXPECT_EQ(a.bytes, b.bytes) << a.name;
  ASSERT_EQ(a.constant == nullptr, b.constant == nullptr) << a.name;
  EXPECT_TRUE(a.constant == nullptr || std::memcmp(a.constant, b.constant, a.bytes) == 0) << a.name;
}

void expect_same(const view::Node& a, const view::Node& b) {
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.op_version, b.op_version);
  EXPECT_EQ(a.delegate, b.delegate);
  EXPECT_EQ(copy(a.inputs), copy(b.inputs));
  EXPECT_EQ(copy(a.outputs), copy(b.outputs));
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.module, b.module);
  EXPECT_EQ(a.debug_id, b.debug_id);
  ASSERT_EQ(a.attrs.size, b.attrs.size);
  for (uint64_t i = 0; i < a.attrs.size; ++i) {
    const view::Attr &left = a.attrs[i], &right = b.attrs[i];
    EXPECT_EQ(left.name, right.name);
    EXPECT_EQ(left.kind, right.kind);
    EXPECT_EQ(left.integer, right.integer);
    EXPECT_EQ(left.number, right.number);
    EXPECT_EQ(left.text, right.text);
    EXPECT_EQ(copy(left.integers), copy(right.integers));
    EXPECT_EQ(copy(left.numbers), copy(right.numbers));
  }
}

void expect_same(const view::Graph& a, const view::Graph& b) {
  EXPECT_EQ(copy(a.inputs), copy(b.inputs));
  EXPECT_EQ(copy(a.outputs), copy(b.outputs));
  EXPECT_EQ(a.arena_size, b.arena_size);
  ASSERT_EQ(a.values.size, b.values.size);
  for (uint64_t i = 0; i < a.values.size; ++i) expect_same(a.values[i], b.values[i]);
  ASSERT_EQ(a.nodes.size, b.nodes.size);
  for (uint64_t i = 0; i < a.nodes.size; ++i) expect_same(a.nodes[i], b.nodes[i]);
  ASSERT_EQ(a.states.size, b.states.size);
  for (uint64_t i = 0; i < a.states.size; ++i) {
    EXPECT_EQ(a.states[i].name, b.states[i].name);
    EXPECT_EQ(a.states[i].input, b.states[i].input);
    EXPECT_EQ(a.states[i].output, b.states[i].output);
    EXPECT_EQ(a.states[i].in_place, b.states[i].in_place);
    EXPECT_EQ(a.states[i].buffer, b.states[i].buffer);
  }
}

void expect_same(const view::Delegate& a, const view::Delegate& b) {
  EXPECT_EQ(a.plugin, b.plugin);
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.tag, b.tag);
  EXPECT_EQ(a.blob_format, b.blob_format);
  EXPECT_EQ(a.isa, b.isa);
  EXPECT_EQ(copy(a.debug_ids), copy(b.debug_ids));
  EXPECT_EQ(copy(a.macs), copy(b.macs));
  EXPECT_TRUE(std::ranges::equal(a.blob, b.blob));
  ASSERT_EQ(a.named.size, b.named.size);
  for (uint64_t i = 0; i < a.named.size; ++i) {
    EXPECT_EQ(a.named[i].key, b.named[i].key);
    EXPECT_TRUE(std::ranges::equal(a.named[i].bytes, b.named[i].bytes));
  }
  ASSERT_EQ(a.originals.size, b.originals.size);
  if (!a.originals.empty()) expect_same(a.originals[0], b.originals[0]);
}

void expect_same(const view::Program& a, const view::Program& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.qparams.size, b.qparams.size);
  EXPECT_EQ(a.buffers.size, b.buffers.size);
  EXPECT_EQ(a.buffer_bytes, b.buffer_bytes);
  ASSERT_EQ(a.methods.size, b.methods.size);
  for (uint64_t i = 0; i < a.methods.size; ++i) {
    EXPECT_EQ(a.methods[i].name, b.methods[i].name);
    expect_same(a.methods[i].graph(), b.methods[i].graph());
  }
  ASSERT_EQ(a.delegates.size, b.delegates.size);
  for (uint64_t i = 0; i < a.delegates.size; ++i) expect_same(a.delegates[i], b.delegates[i]);
  ASSERT_EQ(a.metadata.size, b.metadata.size);
  for (uint64_t i = 0; i < a.metadata.size; ++i) {
    EXPECT_EQ(a.metadata[i].key, b.metadata[i].key);
    EXPECT_EQ(a.metadata[i].value, b.metadata[i].value);
  }
}

class Flatten : public ::testing::TestWithParam<Model (*)()> {};
INSTANTIATE_TEST_SUITE_P(Models, Flatten, ::testing::Values(small_model, language_model));

TEST_P(Flatten, IsWhatTheReaderMakesOfTheFile) {
  const Model model = GetParam()();
  Arena memory(heap());
  quoin::Fault fault;
  const auto flat = flatten(model, memory);
  ASSERT_TRUE(flat) << flat.error().text();
  ASSERT_TRUE(view::verify(**flat, memory, fault)) << fault.failure()->text();
  const FileBytes file = *serialize(model);
  const view::Program* read = view::open(file, {}, memory, fault);
  ASSERT_NE(read, nullptr) << fault.failure()->text();
  expect_same(**flat, *read);
}

TEST_P(Flatten, LiftingGivesTheModelAgain) {
  const Model model = GetParam()();
  Arena memory(heap());
  expect_equal(lift(**flatten(model, memory), nullptr), model);
}

TEST(Flattened, QParamsThatValuesShareAreOne) {
  Model model = small_model();
  std::vector<Value>& values = model.methods[0].graph.values;
  const uint32_t more = 2;
  for (uint32_t i = 0; i < more; ++i)
    values.push_back({"c" + std::to_string(i), values[7].type, Tensor(DType::s8, {2, 4})});
  Arena memory(heap());
  const view::Program& flat = **flatten(model, memory);
  EXPECT_EQ(flat.qparams.size, 1u);
  const view::Graph& graph = flat.methods[0].graph();
  EXPECT_EQ(graph.values[7].qparams, &flat.qparams[0]);
  EXPECT_EQ(graph.values[9].qparams, &flat.qparams[0]);
  EXPECT_EQ(graph.values[7].abi_qparams()->scale, values[7].type.qparams->scale.data());
  const Model back = lift(flat, nullptr);
  EXPECT_EQ(back.methods[0].graph.values[7].type.qparams, back.methods[0].graph.values[9].type.qparams);
}

TEST(Flattened, ConstantsWithoutBytesAreConstants) {
  GraphBuilder b;
  b.graph.outputs = {b.input("x", f32({1}))};
  b.constant("nothing", Tensor(DType::f32, {0}, nullptr, nullptr));
  Arena memory(heap());
  EXPECT_NE(flatten(b.graph, memory).values[1].constant, nullptr);
  Model model;
  model.methods = {{"forward", b.graph}};
  const auto status = verify(model);
  EXPECT_TRUE(status) << status.error().text();
}

std::string refusal(const Model& model) {
  const auto status = verify(model);
  return status ? "" : status.error().text();
}

TEST(Flattened, WhatAViewCannotShowIsChecked) {
  Model model = small_model();
  model.delegates[0].blob = model.delegates[0].blob.subspan(1);
  EXPECT_EQ(refusal(model), "delegate 0 (npu): its blob is not 64-byte aligned");
  model = small_model();
  model.delegates[0].named["table"] = model.delegates[0].named["table"].subspan(4);
  EXPECT_EQ(refusal(model), "delegate 0 (npu): data table is not 64-byte aligned");
  model = small_model();
  model.delegates[0].original->values[1].constant = floats({3}, 0);
  EXPECT_EQ(refusal(model), "delegate 0 (npu): original: value 1 (shift): declared f32[2, 4] but holds f32[3]");
  model = small_model();
  for (int i = 0; i < 65; ++i) model.methods[0].graph.nodes[0].attrs["a" + std::to_string(i)] = true;
  EXPECT_EQ(refusal(model), "node 0 (n0): 65 attributes, at most 64");
  model = small_model();
  model.methods[0].graph.nodes[0].attrs["a"] = std::string(70000, 'x');
  EXPECT_EQ(refusal(model), "node 0 (n0): attribute a: a text of 70000 bytes, at most 65536");
  model = small_model();
  model.metadata["long"] = std::string((16 << 20) + 1, 'x');
  EXPECT_EQ(refusal(model), "metadata long: 16777217 bytes, at most 16777216");
  model.metadata = {{std::string(70000, 'x'), ""}};
  EXPECT_EQ(refusal(model), "metadata key of 70000 bytes, at most 65536");
  model = small_model();
  model.methods[0].graph.nodes.resize((1 << 20) + 1);
  EXPECT_THAT(refusal(model), ::testing::HasSubstr("nodes, at most 1048576"));
}

}  // namespace
}  // namespace quoin::program::testing
