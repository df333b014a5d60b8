// Weight quantization without calibration: a matrix becomes integers of 1 to 8 bits in groups along its rows. Codes,
// zero points and scales equal those of torchao's Int8DynamicActivationIntxWeightConfig and IntxWeightOnlyConfig (at 4
// bits also Int8DynActInt4WeightQuantizer), bit for bit.
#pragma once

#include <quoin/abi.h>

#include "ops/tensor.hpp"

namespace quoin::quantize {

enum class WeightMapping {
  symmetric,              // scale = |w| / ((qmax - qmin) / 2), zero point 0
  symmetric_no_clipping,  // scale = max(min / qmin, max / qmax), zero point 0: no weight is cut off; 2 bits and more
  asymmetric,             // scale = (max - min) / (qmax - qmin), zero point = qmin - round(min / scale)
};
enum class WeightAlgorithm {
  min_max,         // the mapping's formula
  hqq_scale_only,  // scale by least squares of |w - s * q|^2, in turn with q, at most 20 times; zero point 0; no
                   // mapping
};

struct IntxConfig {
  uint32_t bits = 4;   // 1..8
  int64_t group = 32;  // weights of a row with one scale; 0: the whole row
  WeightMapping mapping = WeightMapping::symmetric;
  WeightAlgorithm algorithm = WeightAlgorithm::min_max;
  DType scale_dtype = DType::f32;  // f32, bf16, f16: scales are rounded to it before the codes are made
};

struct IntxWeight {
  Tensor codes;     // s8 [out, in], in -2^(bits-1) .. 2^(bits-1) - 1
  QParams qparams;  // of the codes: per_group, or per_channel of axis 0
};

// Scales are at least 2^-126, and 2^-14 where f16 cannot hold 1 / scale, so that a group of zeros has valid qparams and
// codes that stand for 0.
// The group must divide the row: whether other layers are padded, get smaller groups, stay in float or are refused is
// the caller's decision, made before.
// Errors (input): not an f32 matrix, bits, group or scale type out of range, no_clipping with 1 bit; (data): NaN or Inf
// with its row and column, or a scale that the scale type cannot hold.
// `host`: lends its threads; null: one. The result does not depend on them.
Result<IntxWeight> quantize_weight(const Tensor& weight, const IntxConfig& config, const quoin_host* host = nullptr);

// Scales rounded to `dtype` (f32, bf16, f16), as quantize_weight does. Errors (data): one that does not fit.
Status round_scales(std::span<float> scales, DType dtype, const quoin_host* host = nullptr);

// Codes under given qparams (per_group, or per_channel of axis 0), made as quantize_weight does for min_max scales of
// type `scale_dtype`. Preconditions: f32 matrix, finite; scales that went through round_scales.
Tensor quantize_codes(const Tensor& weight, const QParams& qparams, DType scale_dtype,
                      const quoin_host* host = nullptr);

// Errors (data): the first NaN or Inf with row and column. Precondition: an f32 matrix.
Status check_finite(const Tensor& weight, const quoin_host* host = nullptr);

}  // namespace quoin::quantize
