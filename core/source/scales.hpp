// Scales and zero points of groups of weights.
#pragma once

#include <quoin/numerics.hpp>
#include <span>

#include "source/config.hpp"

namespace quoin::source {

// The integers of a layer's weights.
struct Codes {
  int32_t qmin, qmax;
  static Codes of(uint32_t bits) { return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1}; }
};

// What one group is quantized with.
struct GroupRule {
  Codes codes;
  WeightMapping mapping;
  DType scale_dtype;
  explicit GroupRule(const LayerConfig& config)
      : codes(Codes::of(config.bits)), mapping(config.mapping), scale_dtype(config.scale_dtype) {}

  // Scale and zero point by the mapping's formula, the scale not rounded to its type yet.
  numerics::Affine min_max(std::span<const float> weights) const;
  // Those of min_max for weights cut off at a part of their range, then a scale fitted to the codes; of all that is
  // tried the one with the least sum of importance * error^2. An empty `importance`: all weights count the same. The
  // scale is rounded to its type.
  numerics::Affine search(std::span<const float> weights, std::span<const float> importance) const;
  // Half-quadratic quantization: starts at min_max and minimizes the sum of |error|^0.7 by proximal steps over scale
  // and zero point, which is a whole number at every step; the best of all steps. The scale is rounded to its type.
  // Source: Badri, Shaji, "Half-Quadratic Quantization of Large Machine Learning Models" (2023), where the zero point
  // is real and alone moves.
  numerics::Affine half_quadratic(std::span<const float> weights) const;
  // Sum of importance * error^2.
  float error(std::span<const float> weights, std::span<const float> importance, numerics::Affine affine) const;
  // The scale in its type; the smallest that its type can invert at least. Infinite if it does not fit.
  float rounded(float scale) const;
};

// The qparams of a matrix [rows, columns] in groups (0: rows), without scales.
QParams empty_qparams(Codes codes, int64_t group, int64_t rows, int64_t columns);

// half_quadratic of every group; asymmetric whatever the configuration's mapping.
void half_quadratic(const Tensor& weight, const LayerConfig& config, QParams& qparams, const quoin_host& host);

// Search of every group. `importance`: one per column, or empty.
void search_scales(const Tensor& weight, const LayerConfig& config, std::span<const float> importance, QParams& qparams,
                   const quoin_host& host);

}  // namespace quoin::source
