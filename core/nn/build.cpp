#include "nn/build.hpp"

#include "nn/weights.hpp"

namespace quoin::nn {
namespace {

class Builder {
 public:
  Builder(checkpoint::Checkpoint checkpoint, const Config& config)
      : config_(config), weights_(std::move(checkpoint), config) {}

  Result<std::unique_ptr<CausalDecoder>> build(Diagnostics& diagnostics) {
    QUOIN_TRY(Parameter table, weights_.take("model.embed_tokens.weight", {vocabulary(), hidden()}));
    std::vector<std::unique_ptr<DecoderLayer>> layers;
    for (int64_t i = 0; i < config_.layers; ++i) {
      QUOIN_TRY(auto layer, this->layer(fmt::format("model.layers.{}", i), config_.windows[static_cast<size_t>(i)]));
      layers.push_back(std::move(layer));
    }
    QUOIN_TRY(auto last_norm, norm("model.norm", hidden()));
    Parameter rows = table;
    if (config_.tied) {
      rows.name = "lm_head.weight";
    } else {
      QUOIN_TRY(rows, weights_.take("lm_head.weight", {vocabulary(), hidden()}));
    }
    QUOIN_CHECK(weights_.finish(diagnostics));
    auto decoder =
        std::make_unique<Decoder>("model", std::make_unique<Embedding>("model.embed_tokens", std::move(table)),
                                  std::move(layers), std::move(last_norm));
    return std::make_unique<CausalDecoder>(std::move(decoder),
                                           std::make_unique<Linear>("lm_head", std::move(rows), std::nullopt));
  }

 private:
  Dim dim(const char* key, int64_t size) const { return {size, fmt::format("{} {}", config_.keys.at(key), size)}; }
  Dim vocabulary() const { return dim("vocab_size", config_.vocab_size); }
  Dim hidden() const { return dim("hidden_size", config_.hidden_size); }
  Dim inner() const { return dim("intermediate_size", config_.intermediate_size); }
  Dim head_elements(const char* key, int64_t heads) const {
    return {heads * config_.head_dim,
            fmt::format("{} {} x {} {}", config_.keys.at(key), heads, config_.keys.at("head_dim"), config_.head_dim)};
  }

  struct Projection {
    Dim out, in;
    bool bias = false;
    int64_t rotated_heads = 0;  // of the output; 0: it is not rotated
  };

  Result<std::unique_ptr<Linear>> linear(const std::string& path, const Projection& shape) {
    QUOIN_TRY(Parameter weight, weights_.take(path + ".weight", {shape.out, shape.in}, shape.rotated_heads));
    std::optional<Parameter> bias;
    if (shape.bias) {
      QUOIN_TRY(bias, weights_.take(path + ".bias", {shape.out}, shape.rotated_heads));
    }
    return std::make_unique<Linear>(path, std::move(weight), std::move(bias));
  }

  Result<std::unique_ptr<RMSNorm>> norm(const std::string& path, const Dim& features) {
    QUOIN_TRY(Parameter weight, weights_.take(path + ".weight", {features}));
    return std::make_unique<RMSNorm>(path, std::move(weight), config_.rms_norm_eps);
  }

  Result<std::unique_ptr<Attention>> attention(const std::string& path, int64_t window) {
    const Dim query = head_elements("num_attention_heads", config_.heads),
              kv = head_elements("num_key_value_heads", config_.kv_heads);
    QUOIN_TRY(auto q, linear(path + ".q_proj", {query, hidden(), config_.qkv_bias, config_.heads}));
    QUOIN_TRY(auto k, linear(path + ".k_proj", {kv, hidden(), config_.qkv_bias, config_.kv_heads}));
    QUOIN_TRY(auto v, linear(path + ".v_proj", {kv, hidden(), config_.qkv_bias}));
    QUOIN_TRY(auto o, linear(path + ".o_proj", {hidden(), query, config_.output_bias}));
    std::unique_ptr<RMSNorm> q_norm, k_norm;
    if (config_.qk_norm) {
      QUOIN_TRY(q_norm, norm(path + ".q_norm", dim("head_dim", config_.head_dim)));
      QUOIN_TRY(k_norm, norm(path + ".k_norm", dim("head_dim", config_.head_dim)));
    }
    return std::make_unique<Attention>(path,
                                       Attention::Heads{config_.heads, config_.kv_heads, config_.head_dim, window},
                                       Attention::Projections{std::move(q), std::move(k), std::move(v), std::move(o)},
                                       std::move(q_norm), std::move(k_norm));
  }

  Result<std::unique_ptr<SwiGLU>> mlp(const std::string& path) {
    QUOIN_TRY(auto gate, linear(path + ".gate_proj", {inner(), hidden(), config_.mlp_bias}));
    QUOIN_TRY(auto up, linear(path + ".up_proj", {inner(), hidden(), config_.mlp_bias}));
    QUOIN_TRY(auto down, linear(path + ".down_proj", {hidden(), inner(), config_.mlp_bias}));
    return std::make_unique<SwiGLU>(path, std::move(gate), std::move(up), std::move(down));
  }

  Result<std::unique_ptr<DecoderLayer>> layer(const std::string& path, int64_t window) {
    QUOIN_TRY(auto input_norm, norm(path + ".input_layernorm", hidden()));
    QUOIN_TRY(auto attends, attention(path + ".self_attn", window));
    QUOIN_TRY(auto post_norm, norm(path + ".post_attention_layernorm", hidden()));
    QUOIN_TRY(auto feed, mlp(path + ".mlp"));
    return std::make_unique<DecoderLayer>(path, std::move(input_norm), std::move(attends), std::move(post_norm),
                                          std::move(feed));
  }

  const Config& config_;
  Weights weights_;
};

}  // namespace

Result<std::unique_ptr<CausalDecoder>> build(checkpoint::Checkpoint checkpoint, const Config& config,
                                             Diagnostics& diagnostics) {
  return Builder(std::move(checkpoint), config).build(diagnostics);
}

}  // namespace quoin::nn
