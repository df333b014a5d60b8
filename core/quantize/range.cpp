#include "quantize/range.hpp"

#include <bit>
#include <cmath>
#include <quoin/numerics.hpp>

namespace quoin::quantize {
namespace {

// Order of binary32 numbers as integers: negative numbers have their magnitude bits flipped. Infinities and NaN lie
// outside the finite numbers on both sides. Integer extrema vectorize without assumptions about NaN.
int32_t order_of(int32_t bits) { return bits ^ ((bits >> 31) & INT32_MAX); }
float number_of(int32_t order) { return std::bit_cast<float>(order_of(order)); }

Status not_finite(std::span<const float> elements, size_t offset) {
  for (size_t i = 0; i < elements.size(); ++i) {
    if (std::isfinite(elements[i])) continue;
    return fail(Code::data, "element {} is {}", offset + i, std::isnan(elements[i]) ? "NaN" : "infinite");
  }
  return {};
}

int32_t symmetric_zero_point(const Spec& spec, int32_t middle) {
  if (spec.dtype == DType::u16) return 32768;
  if (spec.dtype == DType::u8 && spec.default_range) return 128;
  return middle;
}

numerics::Affine to_power_of_two(numerics::Affine affine, const Range& range, const Spec& spec) {
  int exponent = 0;
  const float mantissa = std::frexp(affine.scale, &exponent);  // in [0.5, 1)
  affine.scale = std::ldexp(1.0f, mantissa == 0.5f ? exponent - 1 : exponent);
  if (spec.symmetric) return affine;
  const float low = static_cast<float>(spec.qmin), high = static_cast<float>(spec.qmax);
  const float zero = low - numerics::round_half_even(std::min(range.min, 0.0f) / affine.scale);
  affine.zero_point = static_cast<int32_t>(numerics::clamp_real(zero, low, high));
  return affine;
}

}  // namespace

Result<Range> scan(std::span<const float> elements, size_t offset) {
  if (elements.empty()) return Range{};
  int32_t low = INT32_MAX, high = INT32_MIN;
  for (const float x : elements) {
    const int32_t order = order_of(std::bit_cast<int32_t>(x));
    low = std::min(low, order);
    high = std::max(high, order);
  }
  const Range range{number_of(low), number_of(high)};
  if (!std::isfinite(range.min) || !std::isfinite(range.max)) QUOIN_CHECK(not_finite(elements, offset));
  return range;
}

Result<std::span<const float>> float_elements(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) return tensor.as<float>();
  return fail(Code::input, "an observer needs f32, found {}", name(tensor.dtype()));
}

Result<Pieces> pieces(const Spec& spec, const Shape& shape) {
  Pieces out;
  const size_t rank = shape.size();
  if (spec.scheme == Scheme::per_tensor || spec.scheme == Scheme::per_token) {
    out.inner = static_cast<size_t>(numel(shape));
    return out;
  }
  if (spec.scheme == Scheme::per_channel) {
    if (spec.axis < 0 || static_cast<size_t>(spec.axis) >= rank)
      return fail(Code::plugin, "channel axis {} is outside the shape {}", spec.axis, to_string(shape));
    const auto axis = static_cast<size_t>(spec.axis);
    for (size_t i = 0; i < axis; ++i) out.outer *= static_cast<size_t>(shape[i]);
    out.count = static_cast<size_t>(shape[axis]);
    for (size_t i = axis + 1; i < rank; ++i) out.inner *= static_cast<size_t>(shape[i]);
    return out;
  }
  if (rank == 0 || spec.group == 0 || shape.back() % spec.group != 0)
    return fail(Code::plugin, "groups of {} do not divide the last axis of {}", spec.group, to_string(shape));
  out.inner = spec.group;
  out.count = static_cast<size_t>(numel(shape)) / spec.group;
  return out;
}

Result<QParams> choose_qparams(const Spec& spec, std::span<const Range> ranges) {
  QParams out;
  out.dtype = spec.dtype;
  out.scheme = spec.scheme;
  out.axis = spec.scheme == Scheme::per_channel ? spec.axis : -1;
  out.group = spec.scheme == Scheme::per_group ? spec.group : 0;
  out.qmin = spec.qmin;
  out.qmax = spec.qmax;
  out.scale.reserve(ranges.size());
  out.zero_point.reserve(ranges.size());
  const float eps = spec.eps > 0 ? static_cast<float>(spec.eps) : numerics::kDefaultEps;
  for (const Range& range : ranges) {
    if (range.empty()) return fail(Code::data, "nothing was observed");
    auto affine = numerics::choose_qparams(range.min, range.max, spec.qmin, spec.qmax, spec.symmetric, eps);
    if (spec.pow2_scale) affine = to_power_of_two(affine, range, spec);
    if (!std::isfinite(affine.scale))
      return fail(Code::data, "the range [{}, {}] is too wide for binary32", range.min, range.max);
    if (spec.symmetric) affine.zero_point = symmetric_zero_point(spec, affine.zero_point);
    out.scale.push_back(affine.scale);
    out.zero_point.push_back(affine.zero_point);
  }
  return out;
}

}  // namespace quoin::quantize
