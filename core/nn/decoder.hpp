// The modules of a decoder of the Llama family. Activations are [T, features], heads [T, H, D].
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/module.hpp"

namespace quoin::nn {

// Operands that all layers of one graph share.
struct Sequence {
  ir::ValueId positions = ir::kNone;    // s64 [T]
  ir::ValueId frequencies = ir::kNone;  // f32 [D / 2]
  double rope_scale = 1;
  int64_t context = 0;  // rows of the caches
};

// Keys and values of one layer: f32 [S, G, D], or s8 codes with their scales and zero points. emit() replaces the
// values before a run by those after it.
struct Cache {
  ir::ValueId keys = ir::kNone, values = ir::kNone;
  ir::ValueId key_affine = ir::kNone, value_affine = ir::kNone;  // kNone: f32 caches
};

// Attention over the cache, with rotary positions and grouped key/value heads.
class Attention final : public Module {
 public:
  struct Heads {
    int64_t query = 0, kv = 0, dim = 0;
    int64_t window = 0;  // the last positions that are attended to; 0: all
  };
  struct Projections {
    std::unique_ptr<Linear> q, k, v, o;
  };
  Attention(std::string path, Heads heads, Projections projections, std::unique_ptr<RMSNorm> q_norm,
            std::unique_ptr<RMSNorm> k_norm);

  const Heads& heads() const { return heads_; }
  std::vector<Module*> children() override;
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId x, const Sequence& sequence, Cache& cache);

 private:
  Result<ir::ValueId> split_heads(Emitter& emitter, Linear& projection, RMSNorm* norm, int64_t heads, ir::ValueId x);
  Result<ir::ValueId> attend(Emitter& emitter, ir::ValueId query, ir::ValueId positions, const Cache& cache,
                             int64_t context) const;

  Heads heads_;
  Projections projections_;
  std::unique_ptr<RMSNorm> q_norm_, k_norm_;  // null: none
};

// down(silu(gate(x)) * up(x))
class SwiGLU final : public Module {
 public:
  SwiGLU(std::string path, std::unique_ptr<Linear> gate, std::unique_ptr<Linear> up, std::unique_ptr<Linear> down);
  std::vector<Module*> children() override { return {gate_.get(), up_.get(), down_.get()}; }
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId x);

 private:
  std::unique_ptr<Linear> gate_, up_, down_;
};

// x + attention(norm(x)), then x + mlp(norm(x)).
class DecoderLayer final : public Module {
 public:
  DecoderLayer(std::string path, std::unique_ptr<RMSNorm> input_norm, std::unique_ptr<Attention> attention,
               std::unique_ptr<RMSNorm> post_norm, std::unique_ptr<SwiGLU> mlp);
  Attention& attention() { return *attention_; }
  std::vector<Module*> children() override;
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId x, const Sequence& sequence, Cache& cache);

 private:
  std::unique_ptr<RMSNorm> input_norm_;
  std::unique_ptr<Attention> attention_;
  std::unique_ptr<RMSNorm> post_norm_;
  std::unique_ptr<SwiGLU> mlp_;
};

// Embedding, layers and the last norm: "model" of Hugging Face's names.
class Decoder final : public Module {
 public:
  Decoder(std::string path, std::unique_ptr<Embedding> embedding, std::vector<std::unique_ptr<DecoderLayer>> layers,
          std::unique_ptr<RMSNorm> norm);
  Embedding& embedding() { return *embedding_; }
  std::vector<std::unique_ptr<DecoderLayer>>& layers() { return layers_; }
  RMSNorm& norm() { return *norm_; }
  std::vector<Module*> children() override;

 private:
  std::unique_ptr<Embedding> embedding_;
  std::vector<std::unique_ptr<DecoderLayer>> layers_;
  std::unique_ptr<RMSNorm> norm_;
};

// The root of the tree: decoder and head.
class CausalDecoder final : public Module {
 public:
  CausalDecoder(std::unique_ptr<Decoder> decoder, std::unique_ptr<Linear> head);
  Decoder& decoder() { return *decoder_; }
  Linear& head() { return *head_; }
  std::vector<Module*> children() override { return {decoder_.get(), head_.get()}; }

 private:
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Linear> head_;
};

}  // namespace quoin::nn
