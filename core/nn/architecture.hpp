// The families of models that the module tree can express: one row each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quoin::nn {

enum class Bias { never, always, by_key };
enum class Windows { never, all_layers, by_key };  // by_key: use_sliding_window, max_window_layers, layer_types

struct Architecture {
  std::string_view name;  // "model_type" of config.json and "general.architecture" of GGUF
  Bias qkv_bias = Bias::never, output_bias = Bias::never, mlp_bias = Bias::never;
  Windows windows = Windows::never;
  bool qk_norm = false;
  // GGUF files hold rows of query and key heads in pairs (i, i + head_dim / 2), as their rotation wants them.
  bool gguf_pairs_rows = false;
  // What Hugging Face's configuration classes assume where config.json is silent.
  int64_t max_positions = 2048;
  std::optional<int64_t> kv_heads{};  // none: as many as query heads
  std::optional<int64_t> head_dim{};  // none: hidden_size / heads
};

// nullptr if it is not known.
const Architecture* find_architecture(std::string_view name);
std::span<const Architecture> all_architectures();

}  // namespace quoin::nn
