// Keeps the int32 accumulators of integer products from overflowing.
//
// Output channel c of a convolution or linear sums (x - zx) * (w - zw) over its weights and adds its bias as an
// integer. No input makes it overflow when
//   reach(x) * sum |w_q - zw| + |bias_q| <= 2^31 - 1,   bias_q = round(bias / (sx * sw[c]))
// with reach(x) = max(|qmin - zx|, |qmax - zx|). A linear with dynamic activations adds its bias in float, and with
// groups every group is a sum of its own. Thread safe: functions of their arguments.
#pragma once

#include "quantize/group_qparams.hpp"

namespace quoin::quantize {

// Largest |q - zero point| of data with one scale.
int64_t data_reach(const QParams& qparams);

// One product with an integer weight, as the bound sees it.
struct ProductSums {
  const ir::Node& node;  // schema and attributes
  const Shape& weight_shape;
  const QParams& weight;  // per tensor, per output channel, or per group along the last axis
  int64_t data_reach = 0;
  float data_scale = 1;
  std::span<const float> bias;  // per output channel; empty: none, or added in float

  size_t count() const;                 // sums: output channels, or rows * groups
  size_t terms() const;                 // weights per sum
  size_t sum_of(size_t element) const;  // the sum that an element of the weight belongs to
  float scale_of(size_t sum) const { return weight.scale[sum % weight.scale.size()]; }
  // |bias_q| of a sum at weight scale `scale`; infinite where sx * scale is below the normal binary32 numbers.
  double bias_steps(size_t sum, float scale) const;
};

// The sums that some input could make overflow. `integers` null: a weight that is not known, taken at its extremes.
// Errors (unsupported): a type that dequantize_constant does not read.
Result<std::vector<size_t>> overflowing(const ProductSums& sums, const Tensor* integers);

// Raises weight scales until no annotated product can overflow, and derives again what depends on them. A sum that
// could overflow gets, from real weights w and n of them, the scale
//   s = max((reach(x) * sum |w| + |bias| / sx) / (2^31 - 2^12 - n * reach(x) / 2), FLT_MIN / sx)
// where n * reach(x) / 2 is the most that rounding adds and 2^12 covers binary32; with power-of-two scales the next
// power. Zero points stay. Scales where nothing can overflow stay as they are. Every node that changes is reported, as
// is every one that cannot be helped (a scale that is not free, too many terms): to_typed leaves those in float.
Status guard_products(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>>& qparams,
                      Diagnostics& diagnostics);

}  // namespace quoin::quantize
