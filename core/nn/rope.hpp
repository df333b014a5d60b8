// Frequencies of rotary positions.
#pragma once

#include <vector>

#include "nn/keys.hpp"

namespace quoin::nn {

struct Rope {
  std::vector<float> frequencies;  // radians per position, one per pair of elements
  double scale = 1;                // multiplies cos and sin
};

// theta^(-2i / head_dim), scaled as rope_scaling says: "linear" (positions / factor), "llama3" (long waves only, with a
// smooth border), "yarn" (arXiv 2309.00071: linear for long waves, none for short ones, and a factor on cos and sin).
// Errors: model (values), unsupported (another scaling, or a key of it that is not known).
Result<Rope> read_rope(Keys& keys, int64_t head_dim, int64_t max_positions);

}  // namespace quoin::nn
