// Activation-aware weight quantization (Lin et al. 2023): the columns of weights are multiplied by factors, and the
// input they meet is divided by them, so that columns with large inputs lose less to rounding.
#pragma once

#include <span>

#include "source/layer.hpp"

namespace quoin::source {

// One of the layers that read the same input.
struct AwqLayer {
  Tensor weight;  // [rows, columns] f32
  const LayerConfig* config = nullptr;
  Grouping grouping;
  bool centered = false;  // a bias takes up the mean error
};

// One factor per column of the input: mean|x| to the power, out of 0, 1/20 ... 19/20, that leaves the least squared
// error in the outputs of all layers together, divided by the geometric mean of its extremes. All are 1 where power 0
// is best. Errors are measured with scales by min_max on evenly spaced rows, as many as a bound on work allows. Errors:
// those of quantize::quantize_weight.
Result<Vector> awq_factors(std::span<const AwqLayer> layers, const Moments& moments, const quoin_host& host);

}  // namespace quoin::source
