// Ranges of tensors, and the qparams that cover them.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "ops/tensor.hpp"
#include "quantize/annotation.hpp"

namespace quoin::quantize {

struct Range {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  bool empty() const { return min > max; }
  // Grows to cover `other`.
  void cover(const Range& other) {
    min = std::min(min, other.min);
    max = std::max(max, other.max);
  }
};

// Smallest and largest element; an empty span gives an empty range.
// Errors (data): NaN or Inf, with the element's index counted from `offset`.
Result<Range> scan(std::span<const float> elements, size_t offset = 0);

// The f32 elements of `tensor`. Errors (input): another dtype.
Result<std::span<const float>> float_elements(const Tensor& tensor);

// How a tensor falls apart into pieces with one scale each: [outer][pieces][inner], piece p of every outer.
struct Pieces {
  size_t outer = 1, count = 1, inner = 1;
};
// Errors (plugin): the axis or group does not fit the shape.
Result<Pieces> pieces(const Spec& spec, const Shape& shape);

// Scale and zero point for every range under the spec's dtype, limits, symmetry and eps.
// Formulas: numerics::choose_qparams. A symmetric unsigned type has its zero point in the middle of the range, rounded
// down (127 for 0..255); when the spec named no range it is 128 for u8, and it is always 32768 for u16.
// Errors (data): an empty range, or one so wide that its scale is not finite.
Result<QParams> choose_qparams(const Spec& spec, std::span<const Range> ranges);

}  // namespace quoin::quantize
