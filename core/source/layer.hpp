// One layer from float to packed integers.
#pragma once

#include "checkpoint/checkpoint.hpp"
#include "source/config.hpp"
#include "source/moments.hpp"

namespace quoin::source {

struct LayerInput {
  Tensor weight;               // [rows, columns] f32
  std::optional<Tensor> bias;  // [rows] f32
  const LayerConfig& config;
  Grouping grouping;
  const Moments* moments = nullptr;  // of its inputs; null: without data
};

struct LayerOutput {
  checkpoint::Quantized weight;  // packed; columns as Grouping says
  std::optional<Tensor> bias;    // the new one; none: as it was
  double weight_error = 0;       // |w - q| / |w|
};

// Errors: data (NaN weights with their place, scales that do not fit their type, a Hessian that cannot be factored),
// input (not an f32 matrix).
Result<LayerOutput> quantize_layer(const LayerInput& layer, const quoin_host& host);

}  // namespace quoin::source
