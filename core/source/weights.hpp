// Matrices of weights: padding, factors per column, and the way back from codes.
#pragma once

#include "quantize/intx.hpp"
#include "source/moments.hpp"

namespace quoin::source {

// An f32 matrix as Eigen sees it; borrows.
inline Rows rows_of(const Tensor& weight) { return {weight.as<float>().data(), weight.shape()[0], weight.shape()[1]}; }

// [rows, columns] with zeros where `weight` [rows, fewer] has no column; shares its bytes if there are none to add.
Tensor padded(const Tensor& weight, int64_t columns);

// Every column multiplied by its factor; `factor` has one per column.
Tensor scaled_columns(const Tensor& weight, const Vector& factor);

// The real numbers that the codes stand for, [rows, columns].
FloatMatrix dequantized(const quantize::IntxWeight& weight);

}  // namespace quoin::source
