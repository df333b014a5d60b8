// From the element type a file has to the one a model input wants, and the check that values are finite.
#pragma once

#include "data/dataset.hpp"

namespace quoin::data {

// Same shape, dtype `to`: unchanged, f64 -> f32 (rounded to nearest), or between s64 and s32 (range checked).
// Errors: input (another pair of types), data (an integer that does not fit).
Result<Tensor> convert(const Tensor& tensor, DType to, const std::string& where);

// Errors (data): NaN or Inf in an f32 or f64 tensor, with its index.
Status check_finite(const Tensor& tensor, const std::string& where);

}  // namespace quoin::data
