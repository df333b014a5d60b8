#include "nn/decoder.hpp"

#include <cmath>

#include "nn/emitter.hpp"

namespace quoin::nn {

using ir::kNone;
using ir::ValueId;

namespace {

// The cache with the rows of this run.
Status update(Emitter& emitter, ValueId& cache, ValueId& affine, ValueId rows, ValueId positions) {
  if (affine == kNone) {
    QUOIN_TRY(cache, emitter.add("quoin.kv_update.default", {cache, rows, positions}));
    return {};
  }
  QUOIN_TRY(const auto updated, emitter.add_all("quoin.kv_update_int8.default", {cache, affine, rows, positions}));
  cache = updated[0];
  affine = updated[1];
  return {};
}

}  // namespace

Attention::Attention(std::string path, Heads heads, Projections projections, std::unique_ptr<RMSNorm> q_norm,
                     std::unique_ptr<RMSNorm> k_norm)
    : Module(std::move(path), "Attention"),
      heads_(heads),
      projections_(std::move(projections)),
      q_norm_(std::move(q_norm)),
      k_norm_(std::move(k_norm)) {}

std::vector<Module*> Attention::children() {
  std::vector<Module*> out{projections_.q.get(), projections_.k.get(), projections_.v.get()};
  if (q_norm_) out.push_back(q_norm_.get());
  if (k_norm_) out.push_back(k_norm_.get());
  out.push_back(projections_.o.get());
  return out;
}

Result<ValueId> Attention::split_heads(Emitter& emitter, Linear& projection, RMSNorm* norm, int64_t heads, ValueId x) {
  QUOIN_TRY(x, projection.emit(emitter, x));
  QUOIN_TRY(x, emitter.add("aten.view.default", {x}, {{"size", std::vector<int64_t>{-1, heads, heads_.dim}}}));
  if (norm == nullptr) return x;
  return norm->emit(emitter, x);
}

Result<ValueId> Attention::attend(Emitter& emitter, ValueId query, ValueId positions, const Cache& cache,
                                  int64_t context) const {
  Attrs attrs{{"scale", 1.0 / std::sqrt(static_cast<double>(heads_.dim))},
              {"window", heads_.window < context ? heads_.window : int64_t{0}}};
  if (cache.key_affine == kNone)
    return emitter.add("quoin.attention.default", {query, cache.keys, cache.values, positions}, std::move(attrs));
  return emitter.add("quoin.attention_int8.default",
                     {query, cache.keys, cache.key_affine, cache.values, cache.value_affine, positions},
                     std::move(attrs));
}

Result<ValueId> Attention::emit(Emitter& emitter, ValueId x, const Sequence& sequence, Cache& cache) {
  const Emitter::Scope scope(emitter, *this);
  const auto rotated = [&](ValueId heads) {
    return emitter.add("quoin.rope.default", {heads, sequence.positions, sequence.frequencies},
                       {{"scale", sequence.rope_scale}});
  };
  QUOIN_TRY(ValueId query, split_heads(emitter, *projections_.q, q_norm_.get(), heads_.query, x));
  QUOIN_TRY(ValueId keys, split_heads(emitter, *projections_.k, k_norm_.get(), heads_.kv, x));
  QUOIN_TRY(const ValueId values, split_heads(emitter, *projections_.v, nullptr, heads_.kv, x));
  QUOIN_TRY(query, rotated(query));
  QUOIN_TRY(keys, rotated(keys));
  QUOIN_CHECK(update(emitter, cache.keys, cache.key_affine, keys, sequence.positions));
  QUOIN_CHECK(update(emitter, cache.values, cache.value_affine, values, sequence.positions));
  QUOIN_TRY(ValueId mixed, attend(emitter, query, sequence.positions, cache, sequence.context));
  const std::vector<int64_t> flat{-1, heads_.query * heads_.dim};
  QUOIN_TRY(mixed, emitter.add("aten.view.default", {mixed}, {{"size", flat}}));
  return projections_.o->emit(emitter, mixed);
}

SwiGLU::SwiGLU(std::string path, std::unique_ptr<Linear> gate, std::unique_ptr<Linear> up, std::unique_ptr<Linear> down)
    : Module(std::move(path), "SwiGLU"), gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

Result<ValueId> SwiGLU::emit(Emitter& emitter, ValueId x) {
  const Emitter::Scope scope(emitter, *this);
  QUOIN_TRY(ValueId gate, gate_->emit(emitter, x));
  QUOIN_TRY(gate, emitter.add("aten.silu.default", {gate}));
  QUOIN_TRY(const ValueId up, up_->emit(emitter, x));
  QUOIN_TRY(const ValueId product, emitter.add("aten.mul.Tensor", {gate, up}));
  return down_->emit(emitter, product);
}

DecoderLayer::DecoderLayer(std::string path, std::unique_ptr<RMSNorm> input_norm, std::unique_ptr<Attention> attention,
                           std::unique_ptr<RMSNorm> post_norm, std::unique_ptr<SwiGLU> mlp)
    : Module(std::move(path), "DecoderLayer"),
      input_norm_(std::move(input_norm)),
      attention_(std::move(attention)),
      post_norm_(std::move(post_norm)),
      mlp_(std::move(mlp)) {}

std::vector<Module*> DecoderLayer::children() {
  return {input_norm_.get(), attention_.get(), post_norm_.get(), mlp_.get()};
}

Result<ValueId> DecoderLayer::emit(Emitter& emitter, ValueId x, const Sequence& sequence, Cache& cache) {
  const Emitter::Scope scope(emitter, *this);
  QUOIN_TRY(ValueId branch, input_norm_->emit(emitter, x));
  QUOIN_TRY(branch, attention_->emit(emitter, branch, sequence, cache));
  QUOIN_TRY(x, emitter.add("aten.add.Tensor", {x, branch}));
  QUOIN_TRY(branch, post_norm_->emit(emitter, x));
  QUOIN_TRY(branch, mlp_->emit(emitter, branch));
  return emitter.add("aten.add.Tensor", {x, branch});
}

Decoder::Decoder(std::string path, std::unique_ptr<Embedding> embedding,
                 std::vector<std::unique_ptr<DecoderLayer>> layers, std::unique_ptr<RMSNorm> norm)
    : Module(std::move(path), "Decoder"),
      embedding_(std::move(embedding)),
      layers_(std::move(layers)),
      norm_(std::move(norm)) {}

std::vector<Module*> Decoder::children() {
  std::vector<Module*> out{embedding_.get()};
  for (const auto& layer : layers_) out.push_back(layer.get());
  out.push_back(norm_.get());
  return out;
}

CausalDecoder::CausalDecoder(std::unique_ptr<Decoder> decoder, std::unique_ptr<Linear> head)
    : Module("", "CausalDecoder"), decoder_(std::move(decoder)), head_(std::move(head)) {}

}  // namespace quoin::nn
