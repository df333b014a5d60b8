// The shape of a language model, read from config.json (Hugging Face keys) or from GGUF metadata.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "checkpoint/checkpoint.hpp"

namespace quoin::nn {

struct Config {
  std::string architecture;                              // "llama", "mistral", "qwen2", "qwen3"
  std::string file;                                      // where it was read
  std::map<std::string, std::string, std::less<>> keys;  // "hidden_size" -> as the file spells it, for messages
  int64_t hidden_size = 0, intermediate_size = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab_size = 0;
  int64_t max_positions = 0;
  double rms_norm_eps = 0;
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool qk_norm = false;                 // RMSNorm over the elements of every query and key head, before the rotation
  bool tied = false;                    // the head is the embedding
  std::vector<int64_t> windows;         // per layer: the last positions that are attended to; 0: all
  std::vector<float> rope_frequencies;  // radians per position of each of head_dim / 2 pairs
  double rope_scale = 1;                // multiplies cos and sin (YaRN)
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;
};

// From the metadata of a GGUF file, or from config.json beside safetensors. Keys that are not known give warnings.
// Errors: not_found (config.json), model (a key is missing or has another type or an impossible value), unsupported
// (an architecture, or a key that changes the computation in a way that is not supported); each names file and key.
Result<Config> read_config(const checkpoint::Checkpoint& checkpoint, Diagnostics& diagnostics);

}  // namespace quoin::nn
