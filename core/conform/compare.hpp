// Results of a plugin beside those of the portable kernels.
#pragma once

#include <string>

#include "ops/tensor.hpp"

namespace quoin::conform {

// How far apart results may be.
//   integers     |found - expected| <= steps
//   floats       |found - expected| <= relative * (|expected| + the larger of magnitude and the tensor's largest)
//                                      + step * steps
// NaN equals NaN, infinities equal themselves only.
struct Tolerance {
  int steps = 0;
  double relative = 1e-5;
  double step = 0;       // of floats that stand for integers (results of a dequantization): their scale
  double magnitude = 0;  // of what the result was computed from: sums may cancel
};

// "" when close enough, else "element 17 of [1, 4, 3]: 13, expected 12 (1 step; 3 of 12 elements are off)": the worst.
std::string difference(const Tensor& expected, const Tensor& found, const Tolerance& tolerance);

// Same dtype, shape and bytes.
bool same_bytes(const Tensor& a, const Tensor& b);
Tensor copy_of(const Tensor& tensor);

}  // namespace quoin::conform
