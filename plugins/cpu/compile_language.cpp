// Embeddings, norms, rotary positions, key/value caches and attention of language models.
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

void emit_rms_norm(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  Instruction i = b.make(Op::rms_norm_f32, node);
  i.n = product(node.attrs().integers("normalized_shape"));
  i.rows = x.numel() / i.n;
  i.follows = b.follows(x, kFollowRows);
  i.eps = static_cast<float>(node.attrs().number("eps", double{numerics::kDefaultEps}));
  if (node.has_input(1)) i.weights = b.channels(b.graph.input(node, 1).constant<float>());
  i.x = b.read(x, Layout::plain);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

// Cosines and sines of every token, made once for all layers: they share positions and frequencies.
Ref rope_table(Builder& b, const sdk::Node& node, int64_t tokens, int64_t pairs) {
  const sdk::Value positions = b.graph.input(node, 1), frequencies = b.graph.input(node, 2);
  const auto scale = static_cast<float>(node.attrs().number("scale", 1));
  const std::tuple key(positions.id(), frequencies.id(), scale);
  if (const auto found = b.rope_tables.find(key); found != b.rope_tables.end()) return found->second;
  Instruction i = b.make(Op::rope_table, node);
  i.rows = tokens;
  i.n = pairs;
  i.ratio = scale;
  i.follows = b.follows(positions, kFollowRows);
  i.positions = b.read(positions, Layout::plain);
  i.weights = b.channels(frequencies.constant<float>());
  i.y = b.temporary(static_cast<uint64_t>(tokens * pairs) * 2 * sizeof(float));
  b.emit(i);
  return b.rope_tables[key] = i.y;
}

void emit_rope(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  Instruction i = b.make(Op::rope_f32, node);
  i.rows = x.dims()[0];
  i.n = x.dims()[1];
  i.k = x.dims()[2];
  i.groups = b.graph.input(node, 2).numel();
  i.flags = node.attrs().boolean("interleaved", false) ? kInterleaved : 0u;
  i.follows = b.follows(x, kFollowRows);
  i.x2 = rope_table(b, node, i.rows, i.groups);
  i.x = b.read(x, Layout::plain);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

// rows tokens into a cache of k rows with n heads; batch: elements per head.
Instruction update(Builder& b, Op op, const sdk::Node& node, const sdk::Value& rows, const sdk::Value& positions) {
  const sdk::Value cache = b.graph.input(node, 0);
  Instruction i = b.make(op, node);
  i.rows = rows.dims()[0];
  i.k = cache.dims()[0];
  i.n = cache.dims()[1];
  i.batch = cache.dims()[2];
  i.follows = b.follows(rows, kFollowRows);
  i.x = b.read(cache, Layout::plain);
  i.x2 = b.read(rows, Layout::plain);
  i.positions = b.read(positions, Layout::plain);
  return i;
}

void emit_kv_update(Builder& b, const sdk::Node& node) {
  Instruction i = update(b, Op::kv_update_f32, node, b.graph.input(node, 1), b.graph.input(node, 2));
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

void emit_kv_update_int8(Builder& b, const sdk::Node& node) {
  Instruction i = update(b, Op::kv_update_s8, node, b.graph.input(node, 2), b.graph.input(node, 3));
  i.x3 = b.read(b.graph.input(node, 1), Layout::plain);
  i.y = b.write(b.graph.output(node, 0), Layout::plain);
  i.y2 = b.write(b.graph.output(node, 1), Layout::plain);
  b.need_worker(static_cast<uint64_t>(i.batch) + kReadPadding);
  b.emit(i);
}

Instruction attend(Builder& b, Op op, const sdk::Node& node, uint32_t values_slot, uint32_t positions_slot) {
  const sdk::Value query = b.graph.input(node, 0), keys = b.graph.input(node, 1);
  const sdk::Value values = b.graph.input(node, values_slot);
  Instruction i = b.make(op, node);
  i.rows = query.dims()[0];
  i.n = query.dims()[1];
  i.k = query.dims()[2];
  i.groups = keys.dims()[1];
  i.batch = keys.dims()[0];
  i.y_stride = values.dims()[2];
  i.x_stride = node.attrs().integer("window", 0);
  i.ratio = static_cast<float>(node.attrs().number("scale", 1));
  i.follows = b.follows(query, kFollowRows);
  i.x = b.read(query, Layout::plain);
  i.x2 = b.read(keys, Layout::plain);
  i.x3 = b.read(values, Layout::plain);
  i.positions = b.read(b.graph.input(node, positions_slot), Layout::plain);
  b.need_worker(attention_bytes(i.n / i.groups, i.k, i.y_stride));
  return i;
}

void emit_attention(Builder& b, const sdk::Node& node) {
  Instruction i = attend(b, Op::attention_f32, node, 2, 3);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

void emit_attention_int8(Builder& b, const sdk::Node& node) {
  Instruction i = attend(b, Op::attention_s8, node, 3, 5);
  i.multiplier = b.read(b.graph.input(node, 2), Layout::plain);
  i.sums = b.read(b.graph.input(node, 4), Layout::plain);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

constexpr Emitter kEmitters[] = {
    {"aten.embedding.default", emit_embedding},
    {"aten.rms_norm.default", emit_rms_norm},
    {"quoin.rope.default", emit_rope},
    {"quoin.kv_update.default", emit_kv_update},
    {"quoin.kv_update_int8.default", emit_kv_update_int8},
    {"quoin.attention.default", emit_attention},
    {"quoin.attention_int8.default", emit_attention_int8},
};

}  // namespace

std::span<const Emitter> language_emitters() { return kEmitters; }

}  // namespace quoin::cpu
