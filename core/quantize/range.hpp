// Ranges of tensors, and the qparams that cover them.
#pragma once

#include <limits>
#include <quoin/numerics.hpp>
#include <span>
#include <vector>

#include "ops/scale_layout.hpp"
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
// `host` lends threads and its instruction set; null: the calling thread only.
// Errors (data): NaN or Inf, with the element's index.
Result<Range> scan(std::span<const float> elements, const quoin_host* host = nullptr);
// One range per scale of `layout`; elements without a scale leave theirs empty. Errors as above.
Result<std::vector<Range>> scan(std::span<const float> elements, const ScaleLayout& layout, const quoin_host* host);

// The f32 elements of `tensor`. Errors (input): another dtype.
Result<std::span<const float>> float_elements(const Tensor& tensor);

// Which range, hence which scale, an element of a tensor belongs to; holds for every scheme, blocks included. Observers
// walk it with runs(); count() ranges. (per_token specs are dynamic: nothing is observed, one range.)
// Errors (plugin): the axis, group or blocks do not fit the shape.
Result<ScaleLayout> scale_layout(const Spec& spec, const Shape& shape);

// Scale and zero point for every range under the spec's dtype, limits, symmetry and eps.
// Formulas: numerics::choose_qparams. A symmetric unsigned type has its zero point in the middle of the range, rounded
// down (127 for 0..255); when the spec named no range it is 128 for u8, and it is always 32768 for u16.
// Errors (data): an empty range, or one so wide that its scale is not finite.
Result<numerics::Affine> choose_affine(const Spec& spec, const Range& range);
Result<QParams> choose_qparams(const Spec& spec, std::span<const Range> ranges);

}  // namespace quoin::quantize
