#include "nn/keys.hpp"

#include <array>
#include <filesystem>

namespace quoin::nn {
namespace {

using checkpoint::Format;
using checkpoint::Setting;

// What GGUF calls the keys of config.json; those with a leading dot follow the name of the architecture.
struct GgufKey {
  std::string_view key, gguf;
};
constexpr std::array kGgufKeys = {
    GgufKey{"model_type", "general.architecture"},
    GgufKey{"hidden_size", ".embedding_length"},
    GgufKey{"intermediate_size", ".feed_forward_length"},
    GgufKey{"num_hidden_layers", ".block_count"},
    GgufKey{"num_attention_heads", ".attention.head_count"},
    GgufKey{"num_key_value_heads", ".attention.head_count_kv"},
    GgufKey{"head_dim", ".attention.key_length"},
    GgufKey{"value_dim", ".attention.value_length"},
    GgufKey{"vocab_size", ".vocab_size"},
    GgufKey{"max_position_embeddings", ".context_length"},
    GgufKey{"rms_norm_eps", ".attention.layer_norm_rms_epsilon"},
    GgufKey{"sliding_window", ".attention.sliding_window"},
    GgufKey{"num_experts", ".expert_count"},
    GgufKey{"num_experts_per_tok", ".expert_used_count"},
    GgufKey{"rotary_dim", ".rope.dimension_count"},
    GgufKey{"rope_theta", ".rope.freq_base"},
    GgufKey{"rope_scaling.rope_type", ".rope.scaling.type"},
    GgufKey{"rope_scaling.factor", ".rope.scaling.factor"},
    GgufKey{"rope_scaling.original_max_position_embeddings", ".rope.scaling.original_context_length"},
    GgufKey{"rope_scaling.attention_factor", ".rope.scaling.attn_factor"},
    GgufKey{"rope_scaling.beta_fast", ".rope.scaling.yarn_beta_fast"},
    GgufKey{"rope_scaling.beta_slow", ".rope.scaling.yarn_beta_slow"},
    GgufKey{"rope_scaling.finetuned", ".rope.scaling.finetuned"},
    GgufKey{"bos_token_id", "tokenizer.ggml.bos_token_id"},
    GgufKey{"eos_token_id", "tokenizer.ggml.eos_token_id"},
};

constexpr std::string_view kScaling = "rope_scaling.", kParameters = "rope_parameters.";

// Newer files say rope_parameters, which also holds rope_theta, where older ones say rope_scaling.
void rename_rope_parameters(checkpoint::Settings& settings) {
  std::vector<std::string> found;
  for (const auto& [key, value] : settings)
    if (key.starts_with(kParameters)) found.push_back(key);
  for (const std::string& key : found) {
    auto node = settings.extract(key);
    const std::string name = key.substr(kParameters.size());
    node.key() = name == "rope_theta" || name == "partial_rotary_factor" ? name : std::string(kScaling) + name;
    settings.insert(std::move(node));
  }
}

}  // namespace

Result<Keys> Keys::open(const checkpoint::Checkpoint& checkpoint) {
  Keys keys;
  keys.format_ = checkpoint.format();
  if (keys.format_ == Format::gguf) {
    keys.file_ = checkpoint.path();
    keys.settings_ = checkpoint.metadata();
    QUOIN_TRY(const auto architecture, keys.text("model_type"));
    if (architecture) keys.prefix_ = *architecture;
    return keys;
  }
  keys.file_ = (std::filesystem::path(checkpoint.folder()) / "config.json").string();
  QUOIN_TRY(keys.settings_, checkpoint::read_json_settings(keys.file_));
  rename_rope_parameters(keys.settings_);
  return keys;
}

std::string Keys::spelled(std::string_view key) const {
  if (format_ == Format::safetensors) return std::string(key);
  for (const GgufKey& row : kGgufKeys)
    if (row.key == key) return row.gguf.starts_with('.') ? prefix_ + std::string(row.gguf) : std::string(row.gguf);
  return prefix_ + "." + std::string(key);
}

Failure Keys::bad(std::string_view key, std::string what, Code code) const {
  return fail(code, "{}: {}", spelled(key), what).at("{}", file_);
}

const Setting* Keys::find(std::string_view key) {
  const std::string name = spelled(key);
  const auto found = settings_.find(name);
  if (found == settings_.end()) return nullptr;
  used_.insert(name);
  return std::holds_alternative<std::monostate>(found->second) ? nullptr : &found->second;
}

bool Keys::has(std::string_view key) { return find(key) != nullptr; }

bool Keys::is_null(std::string_view key) { return settings_.contains(spelled(key)) && find(key) == nullptr; }

template <class T>
Result<std::optional<T>> Keys::get(std::string_view key, std::string_view kind) {
  const Setting* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const T* held = std::get_if<T>(value)) return *held;
  return bad(key, fmt::format("must be {}", kind));
}

Result<std::optional<int64_t>> Keys::integer(std::string_view key) { return get<int64_t>(key, "a whole number"); }
Result<std::optional<bool>> Keys::flag(std::string_view key) { return get<bool>(key, "true or false"); }
Result<std::optional<std::string>> Keys::text(std::string_view key) { return get<std::string>(key, "a text"); }

Result<std::optional<double>> Keys::number(std::string_view key) {
  const Setting* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = std::get_if<int64_t>(value)) return static_cast<double>(*whole);
  return get<double>(key, "a number");
}

Result<std::vector<int64_t>> Keys::integers(std::string_view key) {
  const Setting* value = find(key);
  if (value == nullptr) return std::vector<int64_t>{};
  if (const auto* one = std::get_if<int64_t>(value)) return std::vector<int64_t>{*one};
  if (const auto* list = std::get_if<std::vector<int64_t>>(value)) return *list;
  return bad(key, "must be a whole number or a list of them");
}

Result<std::vector<std::string>> Keys::texts(std::string_view key) {
  QUOIN_TRY(auto list, get<std::vector<std::string>>(key, "a list of texts"));
  return std::move(list).value_or(std::vector<std::string>{});
}

Result<int64_t> Keys::count(std::string_view key, std::optional<int64_t> fallback) {
  constexpr int64_t kMost = 1 << 24;
  QUOIN_TRY(std::optional<int64_t> value, integer(key));
  if (!value) value = fallback;
  if (!value) return bad(key, "is missing");
  if (*value < 1 || *value > kMost) return bad(key, fmt::format("{} is not in 1..{}", *value, kMost));
  return *value;
}

std::vector<std::string> Keys::unused() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : settings_)
    if (!used_.contains(key) && !std::holds_alternative<std::monostate>(value) &&
        (format_ == Format::safetensors || key.starts_with(prefix_ + ".")))
      out.push_back(key);
  return out;
}

}  // namespace quoin::nn
