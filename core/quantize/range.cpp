#include "quantize/range.hpp"

#include <cmath>
#include <quoin/numerics.hpp>

#include "quantize/sweep.hpp"

namespace quoin::quantize {
namespace {

using sweep::Extrema;

// Zero is +0: which one was seen first must not show.
Range range_of(Extrema found) { return {sweep::number_of(found.low) + 0.0f, sweep::number_of(found.high) + 0.0f}; }

Status not_finite(std::span<const float> elements) {
  for (size_t i = 0; i < elements.size(); ++i) {
    if (std::isfinite(elements[i])) continue;
    return fail(Code::data, "element {} is {}", i, std::isnan(elements[i]) ? "NaN" : "infinite");
  }
  return {};
}

int32_t symmetric_zero_point(const Spec& spec, int32_t middle) {
  if (storage_range(spec.dtype).first < 0) return 0;  // also for a range that holds no negative integer
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

Result<Range> scan(std::span<const float> elements, const quoin_host* host) {
  if (elements.empty()) return Range{};
  const Range range = range_of(sweep::extrema(elements, host));
  if (!std::isfinite(range.min) || !std::isfinite(range.max)) QUOIN_CHECK(not_finite(elements));
  return range;
}

Result<std::vector<Range>> scan(std::span<const float> elements, const ScaleLayout& layout, const quoin_host* host) {
  std::vector<Range> out(static_cast<size_t>(layout.count()));
  if (layout.count() == 1) {
    QUOIN_TRY(out[0], scan(elements, host));
    return out;
  }
  const size_t tables = elements.size() > sweep::kPiece ? sweep::workers(host) : 1;
  std::vector<std::vector<Extrema>> found(tables, std::vector<Extrema>(out.size()));
  sweep::in_pieces(host, elements.size(), [&](size_t begin, size_t end, uint32_t worker) {
    std::vector<Extrema>& own = found[worker];
    layout.runs(static_cast<int64_t>(begin), static_cast<int64_t>(end), [&](int64_t scale, int64_t first, int64_t n) {
      own[static_cast<size_t>(scale)].cover(
          sweep::detail::block_extrema(elements.data() + first, static_cast<size_t>(n)));
    });
  });
  for (size_t i = 0; i < out.size(); ++i) {
    Extrema all;
    for (const auto& own : found) all.cover(own[i]);
    if (all.low > all.high) continue;
    out[i] = range_of(all);
    if (!std::isfinite(out[i].min) || !std::isfinite(out[i].max)) QUOIN_CHECK(not_finite(elements));
  }
  return out;
}

Result<std::span<const float>> float_elements(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) return tensor.as<float>();
  return fail(Code::input, "an observer needs f32, found {}", name(tensor.dtype()));
}

Result<ScaleLayout> scale_layout(const Spec& spec, const Shape& shape) {
  QParams q;
  q.scheme = spec.scheme == Scheme::per_token ? Scheme::per_tensor : spec.scheme;
  q.axis = spec.axis;
  q.group = spec.group;
  q.block = spec.block;
  auto layout = ScaleLayout::of(q, shape);
  if (!layout) layout.error().code = Code::plugin;
  return layout;
}

Result<numerics::Affine> choose_affine(const Spec& spec, const Range& range) {
  if (range.empty()) return fail(Code::data, "nothing was observed");
  const float eps = spec.eps > 0 ? static_cast<float>(spec.eps) : numerics::kDefaultEps;
  auto affine = numerics::choose_qparams(range.min, range.max, spec.qmin, spec.qmax, spec.symmetric, eps);
  if (spec.pow2_scale) affine = to_power_of_two(affine, range, spec);
  if (!std::isfinite(affine.scale))
    return fail(Code::data, "the range [{}, {}] is too wide for binary32", range.min, range.max);
  if (spec.symmetric) affine.zero_point = symmetric_zero_point(spec, affine.zero_point);
  return affine;
}

Result<QParams> choose_qparams(const Spec& spec, std::span<const Range> ranges) {
  QParams out;
  out.dtype = spec.dtype;
  out.scheme = spec.scheme;
  out.axis = spec.scheme == Scheme::per_channel ? spec.axis : -1;
  out.group = spec.scheme == Scheme::per_group ? spec.group : 0;
  if (spec.scheme == Scheme::per_block) out.block = spec.block;
  out.qmin = spec.qmin;
  out.qmax = spec.qmax;
  out.scale.reserve(ranges.size());
  out.zero_point.reserve(ranges.size());
  for (const Range& range : ranges) {
    QUOIN_TRY(const numerics::Affine affine, choose_affine(spec, range));
    out.scale.push_back(affine.scale);
    out.zero_point.push_back(affine.zero_point);
  }
  return out;
}

}  // namespace quoin::quantize
