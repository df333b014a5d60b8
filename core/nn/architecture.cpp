#include "nn/architecture.hpp"

#include <array>

namespace quoin::nn {
namespace {

constexpr std::array kRows = {
    Architecture{.name = "llama",
                 .qkv_bias = Bias::by_key,
                 .output_bias = Bias::by_key,
                 .mlp_bias = Bias::by_key,
                 .gguf_pairs_rows = true},
    Architecture{.name = "mistral", .windows = Windows::all_layers, .max_positions = 131072, .kv_heads = 8},
    Architecture{
        .name = "qwen2", .qkv_bias = Bias::always, .windows = Windows::by_key, .max_positions = 32768, .kv_heads = 32},
    Architecture{.name = "qwen3",
                 .qkv_bias = Bias::by_key,
                 .output_bias = Bias::by_key,
                 .windows = Windows::by_key,
                 .qk_norm = true,
                 .max_positions = 32768,
                 .kv_heads = 32,
                 .head_dim = 128},
};

}  // namespace

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& row : kRows)
    if (row.name == name) return &row;
  return nullptr;
}

std::span<const Architecture> all_architectures() { return kRows; }

}  // namespace quoin::nn
