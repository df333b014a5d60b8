#include "nn/config.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "nn/architecture.hpp"
#include "nn/keys.hpp"
#include "nn/rope.hpp"

namespace quoin::nn {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Format;

constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kWindow = 4096;      // what sliding_window is where it is absent
constexpr int64_t kWindowLayers = 28;  // and max_window_layers
constexpr double kEps = 1e-6;

// Keys that change the computation unless they have this value (or are null).
struct Neutral {
  std::string_view key;
  double value;
};
constexpr std::array kNeutral = {
    Neutral{"partial_rotary_factor", 1}, Neutral{"num_experts", 0},          Neutral{"num_local_experts", 0},
    Neutral{"num_experts_per_tok", 0},   Neutral{"embedding_multiplier", 1}, Neutral{"residual_multiplier", 1},
    Neutral{"logits_scaling", 1},        Neutral{"logit_scale", 1},
};
// Keys that change the computation whatever their value, and groups of keys.
constexpr std::array<std::string_view, 8> kRefused = {
    "attention_multiplier", "final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar", "clip_qkv",
    "no_rope_layers",       "quantization_config.",    "rope_scaling."};
// Keys that change nothing here: training, generation and bookkeeping.
constexpr std::array<std::string_view, 30> kIgnored = {"architectures",
                                                       "torch_dtype",
                                                       "dtype",
                                                       "transformers_version",
                                                       "use_cache",
                                                       "initializer_range",
                                                       "pretraining_tp",
                                                       "pad_token_id",
                                                       "_name_or_path",
                                                       "attention_dropout",
                                                       "hidden_dropout",
                                                       "is_llama_config",
                                                       "auto_map.",
                                                       "transformers.js_config.",
                                                       "id2label.",
                                                       "label2id.",
                                                       "max_length",
                                                       "min_length",
                                                       "do_sample",
                                                       "temperature",
                                                       "top_k",
                                                       "top_p",
                                                       "num_beams",
                                                       "output_attentions",
                                                       "output_hidden_states",
                                                       "return_dict",
                                                       "use_bfloat16",
                                                       "unk_token_id",
                                                       "_attn_implementation",
                                                       "embd_pdrop"};

// Rows that end with a dot name groups.
bool listed(std::span<const std::string_view> rows, std::string_view key) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](std::string_view row) { return row.ends_with('.') ? key.starts_with(row) : key == row; });
}

Status refuse_others(Keys& keys) {
  for (const Neutral& row : kNeutral) {
    QUOIN_TRY(const auto value, keys.number(row.key));
    if (value && *value != row.value)
      return keys.bad(row.key, fmt::format("{} changes the computation and is not supported", *value),
                      Code::unsupported);
  }
  for (const char* key : {"rope_interleaved", "use_qk_norm"}) {
    QUOIN_TRY(const auto flag, keys.flag(key));
    if (flag.value_or(false)) return keys.bad(key, "true is not supported", Code::unsupported);
  }
  return {};
}

// Of a GGUF file all keys of the architecture are about the computation.
Status judge_unused(const Keys& keys, const std::string& architecture, Diagnostics& diagnostics) {
  for (const std::string& key : keys.unused()) {
    const bool gguf = keys.format() == Format::gguf;
    const std::string_view tail = gguf ? std::string_view(key).substr(architecture.size() + 1) : key;
    const bool refused = gguf ? tail.starts_with("rope.") || tail.starts_with("attention.") : listed(kRefused, key);
    if (refused)
      return fail(Code::unsupported, "{} changes the computation and is not supported", key).at("{}", keys.file());
    if (!gguf && listed(kIgnored, key)) continue;
    diagnostics.warn(keys.file(), fmt::format("key {} is not known and is ignored", key));
  }
  return {};
}

class Reader {
 public:
  Reader(const Checkpoint& checkpoint, Keys& keys, const Architecture& row)
      : checkpoint_(checkpoint), keys_(keys), row_(row) {}

  Result<Config> read() {
    out_.architecture = std::string(row_.name);
    out_.file = keys_.file();
    QUOIN_CHECK(read_sizes());
    QUOIN_CHECK(read_numbers());
    QUOIN_CHECK(gguf() ? read_presence() : read_flags());
    QUOIN_CHECK(read_windows());
    QUOIN_CHECK(read_gguf_rotation());
    for (const char* key :
         {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
          "head_dim", "vocab_size", "max_position_embeddings", "attention_bias", "mlp_bias", "tie_word_embeddings"})
      out_.keys[key] = keys_.spelled(key);
    return std::move(out_);
  }

 private:
  bool gguf() const { return keys_.format() == Format::gguf; }

  Status read_sizes() {
    QUOIN_TRY(out_.hidden_size, keys_.count("hidden_size"));
    QUOIN_TRY(out_.intermediate_size, keys_.count("intermediate_size"));
    QUOIN_TRY(out_.layers, keys_.count("num_hidden_layers"));
    if (out_.layers > kMaxLayers)
      return keys_.bad("num_hidden_layers", fmt::format("{}, the limit is {}", out_.layers, kMaxLayers), Code::limit);
    QUOIN_TRY(out_.heads, keys_.count("num_attention_heads"));
    const bool silent = !keys_.is_null("num_key_value_heads") && !gguf();
    QUOIN_TRY(out_.kv_heads,
              keys_.count("num_key_value_heads", silent ? row_.kv_heads.value_or(out_.heads) : out_.heads));
    if (out_.heads % out_.kv_heads != 0)
      return keys_.bad("num_key_value_heads",
                       fmt::format("{} does not divide the {} query heads", out_.kv_heads, out_.heads));
    QUOIN_CHECK(read_head_dim());
    QUOIN_TRY(out_.vocab_size, keys_.count("vocab_size", gguf_vocabulary()));
    QUOIN_TRY(out_.max_positions, keys_.count("max_position_embeddings", row_.max_positions));
    return {};
  }

  Status read_head_dim() {
    const bool silent = !keys_.is_null("head_dim") && !gguf();
    std::optional<int64_t> fallback = silent ? row_.head_dim : std::nullopt;
    if (!fallback && out_.hidden_size % out_.heads == 0) fallback = out_.hidden_size / out_.heads;
    QUOIN_TRY(out_.head_dim, keys_.count("head_dim", fallback));
    if (out_.head_dim % 2 != 0)
      return keys_.bad("head_dim", fmt::format("{} is odd, pairs of elements are rotated", out_.head_dim));
    if (!gguf()) return {};
    for (const char* key : {"value_dim", "rotary_dim"}) {
      QUOIN_TRY(const auto found, keys_.integer(key));
      if (found.value_or(out_.head_dim) != out_.head_dim)
        return keys_.bad(key, fmt::format("{}, but heads have {} elements: not supported", *found, out_.head_dim),
                         Code::unsupported);
    }
    return {};
  }

  // Rows of the embedding: older GGUF files do not write the size of the vocabulary down.
  std::optional<int64_t> gguf_vocabulary() const {
    const checkpoint::Info* table = gguf() ? checkpoint_.find("token_embd.weight") : nullptr;
    if (table == nullptr || table->shape.empty()) return std::nullopt;
    return table->shape[0];
  }

  Status read_numbers() {
    QUOIN_TRY(const auto eps, keys_.number("rms_norm_eps"));
    out_.rms_norm_eps = eps.value_or(kEps);
    if (!(out_.rms_norm_eps > 0) || !std::isfinite(out_.rms_norm_eps))
      return keys_.bad("rms_norm_eps", fmt::format("{} is not positive", out_.rms_norm_eps));
    QUOIN_TRY(Rope rope, read_rope(keys_, out_.head_dim, out_.max_positions));
    out_.rope_frequencies = std::move(rope.frequencies);
    out_.rope_scale = rope.scale;
    QUOIN_TRY(const auto bos, keys_.integers("bos_token_id"));
    if (!bos.empty()) out_.bos = bos[0];
    QUOIN_TRY(out_.eos, keys_.integers("eos_token_id"));
    return {};
  }

  Result<bool> bias(Bias bias, const char* key) {
    if (bias != Bias::by_key) return bias == Bias::always;
    QUOIN_TRY(const auto flag, keys_.flag(key));
    return flag.value_or(false);
  }

  Status read_flags() {
    QUOIN_TRY(out_.qkv_bias, bias(row_.qkv_bias, "attention_bias"));
    QUOIN_TRY(out_.output_bias, bias(row_.output_bias, "attention_bias"));
    QUOIN_TRY(out_.mlp_bias, bias(row_.mlp_bias, "mlp_bias"));
    // Other families write the key down, too, and do not read it.
    for (const char* key : {"attention_bias", "mlp_bias"}) keys_.has(key);
    out_.qk_norm = row_.qk_norm;
    QUOIN_TRY(const auto tied, keys_.flag("tie_word_embeddings"));
    out_.tied = tied.value_or(false);
    QUOIN_TRY(const auto act, keys_.text("hidden_act"));
    if (act && *act != "silu" && *act != "swish")
      return keys_.bad("hidden_act", fmt::format("\"{}\" is not supported, silu is", *act), Code::unsupported);
    return {};
  }

  // GGUF has no keys for what the presence of tensors says.
  Status read_presence() {
    const auto has = [&](const char* tensor) { return checkpoint_.find(tensor) != nullptr; };
    out_.qkv_bias = has("blk.0.attn_q.bias");
    out_.output_bias = has("blk.0.attn_output.bias");
    out_.mlp_bias = has("blk.0.ffn_down.bias");
    out_.qk_norm = row_.qk_norm;
    out_.tied = !has("output.weight");
    return {};
  }

  Status read_windows() {
    out_.windows.assign(static_cast<size_t>(out_.layers), 0);
    if (row_.windows == Windows::never && !gguf()) return {};
    QUOIN_TRY(const auto stated, keys_.integer("sliding_window"));
    const bool silent = !stated && !keys_.is_null("sliding_window") && !gguf();
    const int64_t window = stated.value_or(silent ? kWindow : 0);
    if (window < 0) return keys_.bad("sliding_window", fmt::format("{} is negative", window));
    if (row_.windows == Windows::by_key && !gguf()) return read_windows_by_key(window);
    out_.windows.assign(out_.windows.size(), window);
    return {};
  }

  Status read_windows_by_key(int64_t window) {
    QUOIN_TRY(const auto use, keys_.flag("use_sliding_window"));
    QUOIN_TRY(const auto first, keys_.integer("max_window_layers"));
    QUOIN_TRY(const auto types, keys_.texts("layer_types"));
    if (!types.empty() && types.size() != out_.windows.size())
      return keys_.bad("layer_types", fmt::format("{} entries for {} layers", types.size(), out_.layers));
    for (size_t i = 0; i < out_.windows.size(); ++i) {
      bool slides = static_cast<int64_t>(i) >= first.value_or(kWindowLayers);
      if (!types.empty()) {
        slides = types[i] == "sliding_attention";
        if (!slides && types[i] != "full_attention")
          return keys_.bad("layer_types", fmt::format("\"{}\" is not supported", types[i]), Code::unsupported);
      }
      if (slides && use.value_or(false)) out_.windows[i] = window;
    }
    return {};
  }

  // llama.cpp stores the scaling of "llama3" as a divisor per frequency.
  Status read_gguf_rotation() {
    constexpr const char* kDivisors = "rope_freqs.weight";
    if (!gguf() || checkpoint_.find(kDivisors) == nullptr) return {};
    QUOIN_TRY(const Tensor divisors, checkpoint_.load_f32(kDivisors));
    const auto values = divisors.as<float>();
    if (values.size() != out_.rope_frequencies.size())
      return fail(Code::model, "{} has {} elements, {} {} needs {}", kDivisors, values.size(),
                  keys_.spelled("head_dim"), out_.head_dim, out_.rope_frequencies.size())
          .at("{}", out_.file);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!(values[i] > 0))
        return fail(Code::model, "{}: element {} is {}", kDivisors, i, values[i]).at("{}", out_.file);
      out_.rope_frequencies[i] /= values[i];
    }
    return {};
  }

  const Checkpoint& checkpoint_;
  Keys& keys_;
  const Architecture& row_;
  Config out_;
};

}  // namespace

Result<Config> read_config(const Checkpoint& checkpoint, Diagnostics& diagnostics) {
  QUOIN_TRY(Keys keys, Keys::open(checkpoint));
  QUOIN_TRY(const auto type, keys.text("model_type"));
  if (!type) return keys.bad("model_type", "is missing");
  const Architecture* row = find_architecture(*type);
  if (row == nullptr) {
    std::vector<std::string> known;
    for (const Architecture& other : all_architectures()) known.emplace_back(other.name);
    return keys.bad("model_type", fmt::format("architecture \"{}\" is not supported; {} are", *type, join(known, ", ")),
                    Code::unsupported);
  }
  QUOIN_CHECK(refuse_others(keys));
  QUOIN_TRY(Config out, Reader(checkpoint, keys, *row).read());
  QUOIN_CHECK(judge_unused(keys, *type, diagnostics));
  return out;
}

}  // namespace quoin::nn
