// A small random model of the Llama family as the importer of checkpoints exports it.
#pragma once

#include "harness.hpp"

namespace quoin::cpu::testing {

enum class Weights { f32, int4, int4_dynamic, int8_channels };

struct LanguageShape {
  int64_t hidden = 64, heads = 4, kv_heads = 2, length = 16, inner = 172, vocabulary = 50, layers = 2;
  int64_t context = 24, tokens = 7;
  Weights weights = Weights::int4_dynamic;
  bool int8_cache = false, dynamic = false, last_only = false, asymmetric = false;
};

// Equal shapes and seeds make equal weights, whatever `tokens`, `dynamic` and `last_only` are.
ir::Graph language_graph(const LanguageShape& shape, uint32_t seed);
// tokens, positions from `first` on, then the caches (zero).
std::vector<Tensor> language_inputs(const LanguageShape& shape, int64_t first, std::mt19937& random);

// A [rows, columns] weight of 2, 4 or 8 bits with groups, its columns from `used` on 0.
ir::ValueId grouped_weight(Net& net, DType dtype, int64_t rows, int64_t columns, int64_t used, int64_t group,
                           bool asymmetric);

}  // namespace quoin::cpu::testing
