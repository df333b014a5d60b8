// Small programs to write, read and damage.
#pragma once

#include <gtest/gtest.h>

#include <numeric>

#include "program/model.hpp"

namespace quoin::program::testing {

inline Tensor floats(Shape shape, float first) {
  Tensor tensor(DType::f32, std::move(shape));
  std::span<float> elements = tensor.as<float>();
  std::iota(elements.begin(), elements.end(), first);
  return tensor;
}

inline std::shared_ptr<const QParams> int8(float scale, int32_t zero_point) {
  QParams q;
  q.scale = {scale};
  q.zero_point = {zero_point};
  return std::make_shared<const QParams>(q);
}

inline TensorType f32(Shape shape) { return {DType::f32, std::move(shape), nullptr}; }
inline TensorType s8(Shape shape, float scale = 0.5f, int32_t zero_point = 3) {
  return {DType::s8, std::move(shape), int8(scale, zero_point)};
}

// Adds values and nodes by name; indices are returned.
struct GraphBuilder {
  Graph graph;
  uint32_t value(std::string name, TensorType type, std::optional<Tensor> constant = {}) {
    graph.values.push_back({std::move(name), std::move(type), std::move(constant), 0});
    return static_cast<uint32_t>(graph.values.size() - 1);
  }
  uint32_t input(std::string name, TensorType type) {
    graph.inputs.push_back(value(std::move(name), std::move(type)));
    return graph.inputs.back();
  }
  uint32_t constant(std::string name, Tensor tensor) {
    const TensorType type{tensor.dtype(), tensor.shape(), nullptr};
    return value(std::move(name), type, std::move(tensor));
  }
  uint32_t node(const std::string& op, std::vector<uint32_t> inputs, TensorType type, Attrs attrs = {}) {
    const uint32_t out = value("v" + std::to_string(graph.values.size()), std::move(type));
    Node node;
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {out};
    node.attrs = *complete_attrs(*find_op(op), std::move(attrs));
    node.name = "n" + std::to_string(graph.nodes.size());
    node.module = "net.layer";
    node.debug_id = 100 + graph.nodes.size();
    graph.nodes.push_back(std::move(node));
    return out;
  }
  uint32_t call(uint32_t delegate, std::vector<uint32_t> inputs, TensorType type) {
    const uint32_t out = value("call", std::move(type));
    Node node;
    node.delegate = delegate;
    node.inputs = std::move(inputs);
    node.outputs = {out};
    node.name = "npu_0";
    graph.nodes.push_back(std::move(node));
    return out;
  }
};

inline constexpr size_t kWeightElements = 12;

// x -> linear(w, b) -> relu -> [delegate: relu(add(., w2))] -> y, where the original uses the same w again.
inline Model small_model() {
  const Tensor weight = floats({4, 3}, 1), shift = floats({2, 4}, -2);
  GraphBuilder main;
  const uint32_t x = main.input("x", f32({2, 3}));
  const uint32_t w = main.constant("w", weight);
  const uint32_t b = main.constant("b", floats({4}, 7));
  const uint32_t fc = main.node("aten.linear.default", {x, w, b}, f32({2, 4}));
  const uint32_t relu = main.node("aten.relu.default", {fc}, f32({2, 4}));
  const uint32_t called = main.call(0, {relu}, f32({2, 4}));
  const uint32_t clamped =
      main.node("aten.hardtanh.default", {called}, f32({2, 4}), {{"min_val", -1.0}, {"max_val", 1.0}});
  const uint32_t q = main.node("quoin.quantize.default", {clamped}, s8({2, 4}));
  main.graph.outputs = {q};
  main.graph.values[fc].offset = 0;
  main.graph.values[relu].offset = 64;
  main.graph.values[called].offset = 0;
  main.graph.values[clamped].offset = 64;
  main.graph.arena_size = 128;

  GraphBuilder inner;
  const uint32_t i = inner.input("in", f32({2, 4}));
  const uint32_t s = inner.constant("shift", shift);
  const uint32_t again = inner.constant("w_again", floats({4, 3}, 1));
  const uint32_t product = inner.node("aten.mm.default", {s, again}, f32({2, 3}));
  const uint32_t wide = inner.node("aten.linear.default", {product, again, program::kNone}, f32({2, 4}));
  inner.graph.outputs = {inner.node("aten.add.Tensor", {i, wide}, f32({2, 4}))};
  inner.graph.values[product].offset = 0;
  inner.graph.values[wide].offset = 64;
  inner.graph.arena_size = 128;

  Model model;
  model.name = "small";
  model.methods = {{"forward", std::move(main.graph)}};
  const auto blob = std::make_shared<Tensor>(floats({5}, 42));
  Delegate delegate;
  delegate.plugin = "npu";
  delegate.version = "1.2.3";
  delegate.tag = "npu.0";
  delegate.blob_format = 3;
  delegate.isa = QUOIN_ISA_AVX2;
  delegate.owner = blob;
  delegate.blob = {static_cast<const std::byte*>(blob->data()), 17};
  delegate.named["table"] = {static_cast<const std::byte*>(blob->data()), 20};
  delegate.original = std::move(inner.graph);
  delegate.debug_ids = {7, 8, 9};
  delegate.macs = {1000, 0, 24};
  model.delegates.push_back(std::move(delegate));
  model.metadata = {{"recipe", "quantize: {}\n"}, {"digest", "0123"}};
  return model;
}

// x f32[T, 1, 2], positions s64[T], state "keys" f32[8, 1, 2]. Values: 0 x, 1 positions, 2 keys, 3 updated, 4 y.
inline Graph attention_graph(int64_t tokens, bool dynamic, bool delegated) {
  GraphBuilder b;
  const uint32_t x = b.input("x", f32({tokens, 1, 2}));
  const uint32_t positions = b.input("positions", {DType::s64, {tokens}, nullptr});
  const uint32_t keys = b.input("keys", f32({8, 1, 2}));
  const uint32_t updated = delegated ? b.call(0, {keys, x, positions}, f32({8, 1, 2}))
                                     : b.node("quoin.kv_update.default", {keys, x, positions}, f32({8, 1, 2}));
  const uint32_t y =
      b.node("quoin.attention.default", {x, updated, updated, positions}, f32({tokens, 1, 2}), {{"scale", 1.0}});
  b.graph.outputs = {y, updated};
  b.graph.states = {{"keys", 2, 1, true}};
  if (dynamic)
    for (const uint32_t id : {x, positions, y}) b.graph.values[id].dynamic = 1;
  return b.graph;
}

// "prefill" of up to 4 tokens, whose delegate updates the state, and "decode" of one.
inline Model language_model() {
  GraphBuilder original;
  const uint32_t keys = original.input("keys", f32({8, 1, 2}));
  const uint32_t x = original.input("x", f32({4, 1, 2}));
  const uint32_t positions = original.input("positions", {DType::s64, {4}, nullptr});
  original.graph.values[x].dynamic = original.graph.values[positions].dynamic = 1;
  original.graph.outputs = {original.node("quoin.kv_update.default", {keys, x, positions}, f32({8, 1, 2}))};
  const auto blob = std::make_shared<Tensor>(floats({5}, 42));
  Model model;
  model.name = "language";
  model.methods = {{"prefill", attention_graph(4, true, true)}, {"decode", attention_graph(1, false, false)}};
  Delegate delegate;
  delegate.plugin = "npu";
  delegate.owner = blob;
  delegate.blob = {static_cast<const std::byte*>(blob->data()), 17};
  delegate.original = std::move(original.graph);
  model.delegates.push_back(std::move(delegate));
  return model;
}

inline void expect_equal(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.outputs, b.outputs);
  EXPECT_EQ(a.states, b.states);
  EXPECT_EQ(a.arena_size, b.arena_size);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    EXPECT_EQ(a.values[i].name, b.values[i].name);
    EXPECT_EQ(a.values[i].type, b.values[i].type);
    EXPECT_EQ(a.values[i].offset, b.values[i].offset);
    EXPECT_EQ(a.values[i].dynamic, b.values[i].dynamic);
    ASSERT_EQ(a.values[i].constant.has_value(), b.values[i].constant.has_value());
    if (!a.values[i].constant) continue;
    const auto left = a.values[i].constant->as<uint8_t>(), right = b.values[i].constant->as<uint8_t>();
    EXPECT_TRUE(std::equal(left.begin(), left.end(), right.begin(), right.end()));
  }
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const Node &left = a.nodes[i], &right = b.nodes[i];
    EXPECT_EQ(left.op, right.op);
    EXPECT_EQ(left.delegate, right.delegate);
    EXPECT_EQ(left.inputs, right.inputs);
    EXPECT_EQ(left.outputs, right.outputs);
    EXPECT_EQ(left.attrs, right.attrs);
    EXPECT_EQ(left.name, right.name);
    EXPECT_EQ(left.module, right.module);
    EXPECT_EQ(left.debug_id, right.debug_id);
  }
}

inline void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.methods.size(), b.methods.size());
  for (size_t i = 0; i < a.methods.size(); ++i) {
    EXPECT_EQ(a.methods[i].name, b.methods[i].name);
    expect_equal(a.methods[i].graph, b.methods[i].graph);
  }
  ASSERT_EQ(a.delegates.size(), b.delegates.size());
  const auto same = [](auto left, auto right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
  };
  for (size_t i = 0; i < a.delegates.size(); ++i) {
    const Delegate &left = a.delegates[i], &right = b.delegates[i];
    EXPECT_EQ(left.plugin, right.plugin);
    EXPECT_EQ(left.version, right.version);
    EXPECT_EQ(left.tag, right.tag);
    EXPECT_EQ(left.blob_format, right.blob_format);
    EXPECT_EQ(left.isa, right.isa);
    EXPECT_EQ(left.debug_ids, right.debug_ids);
    EXPECT_EQ(left.macs, right.macs);
    EXPECT_TRUE(same(left.blob, right.blob));
    ASSERT_EQ(left.named.size(), right.named.size());
    for (const auto& [key, bytes] : left.named) EXPECT_TRUE(same(bytes, right.named.at(key))) << key;
    ASSERT_EQ(left.original.has_value(), right.original.has_value());
    if (left.original) expect_equal(*left.original, *right.original);
  }
}

}  // namespace quoin::program::testing
