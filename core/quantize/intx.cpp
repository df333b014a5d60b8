#include "quantize/intx.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <quoin/numerics.hpp>

#include "ops/half.hpp"
#include "ops/scale_layout.hpp"
#include "quantize/sweep.hpp"
#include "quantize/torch_math.hpp"

namespace quoin::quantize {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();

// body(begin, end) over rows of `columns` weights, in pieces worth a thread. The body must not throw.
template <class F>
void for_rows(const quoin_host* host, size_t rows, size_t columns, const F& body) {
  constexpr size_t kPiece = 1 << 16;  // weights
  const size_t grain = std::max<size_t>(kPiece / std::max<size_t>(columns, 1), 1);
  if (host == nullptr || rows <= grain) {
    if (rows > 0) body(size_t{0}, rows);
    return;
  }
  const auto call = [](void* self, uint64_t begin, uint64_t end, uint32_t) {
    (*static_cast<const F*>(self))(static_cast<size_t>(begin), static_cast<size_t>(end));
  };
  host->parallel_for(host->self, rows, grain, call, const_cast<F*>(&body));
}

Status check(const Tensor& weight, const IntxConfig& config) {
  if (weight.dtype() != DType::f32 || weight.shape().size() != 2)
    return fail(Code::input, "the weight must be an f32 matrix, found {}{}", name(weight.dtype()),
                to_string(weight.shape()));
  if (config.bits < 1 || config.bits > 8) return fail(Code::input, "{} bits per weight, expected 1 to 8", config.bits);
  const int64_t columns = weight.shape()[1];
  if (config.group < 0 || (config.group > 0 && columns % config.group != 0))
    return fail(Code::input, "groups of {} do not divide rows of {}", config.group, columns)
        .hint("choose a divisor, or 0 for one scale per row");
  if (config.scale_dtype != DType::f32 && config.scale_dtype != DType::bf16 && config.scale_dtype != DType::f16)
    return fail(Code::input, "scales of type {}, expected f32, bf16 or f16", name(config.scale_dtype));
  if (config.bits == 1 && config.mapping == WeightMapping::symmetric_no_clipping &&
      config.algorithm == WeightAlgorithm::min_max)
    return fail(Code::input, "one bit holds -1 and 0: no symmetric scale keeps positive weights from being cut off");
  return {};
}

// -- loops that vectorize: bounds by comparisons without NaN, rounding by adding 1.5 * 2^23

struct Range {
  float low, high;
};
Range range_of(const float* weights, size_t count) {
  constexpr size_t kLanes = 16;
  float low[kLanes], high[kLanes];
  std::fill(low, low + kLanes, weights[0]);
  std::fill(high, high + kLanes, weights[0]);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      low[lane] = weights[i + lane] < low[lane] ? weights[i + lane] : low[lane];
      high[lane] = weights[i + lane] > high[lane] ? weights[i + lane] : high[lane];
    }
  for (; i < count; ++i) {
    low[0] = std::min(low[0], weights[i]);
    high[0] = std::max(high[0], weights[i]);
  }
  return {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
}

// clamp(round(x)) for integer bounds of a few hundred at most: clamping first gives the same. The sum has the integer
// in the low bits of its mantissa.
constexpr float kRounder = 12582912.0f;
inline float clamped(float x, float low, float high) {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}

// As numerics::quantize(x, factor, zero, qmin, qmax); `divides`: x / factor instead of x * factor.
template <bool kDivides>
void make_codes(const float* from, int8_t* to, size_t count, float factor, int32_t zero, const QParams& q) {
  const float low = static_cast<float>(q.qmin - zero), high = static_cast<float>(q.qmax - zero);
  const int32_t offset = zero - std::bit_cast<int32_t>(kRounder);
  for (size_t i = 0; i < count; ++i) {
    const float x = clamped(kDivides ? from[i] / factor : from[i] * factor, low, high);
    to[i] = static_cast<int8_t>(std::bit_cast<int32_t>(x + kRounder) + offset);
  }
}

numerics::Affine min_max(const float* group, size_t count, const QParams& q, WeightMapping mapping) {
  const auto [low, high] = range_of(group, count);
  if (mapping != WeightMapping::symmetric_no_clipping)
    return numerics::choose_qparams(low, high, q.qmin, q.qmax, mapping == WeightMapping::symmetric, kSmallest);
  const float below = std::min(low, 0.0f) / static_cast<float>(q.qmin);
  const float above = std::max(high, 0.0f) / static_cast<float>(q.qmax);
  return {std::max(std::max(below, above), kSmallest), 0};
}

// The products and squares of one group, reused from group to group.
struct Terms {
  std::vector<float> products, squares;
  explicit Terms(size_t count) : products(count), squares(count) {}
};

// One step of least squares: codes under the scale, then the scale that fits the codes best. Returns the relative
// change.
float refine(const float* group, const QParams& q, Terms& terms, float& scale) {
  const float eps = numerics::kDefaultEps, before = scale;
  const float low = static_cast<float>(q.qmin), high = static_cast<float>(q.qmax);
  for (size_t i = 0; i < terms.products.size(); ++i) {
    const float code = (clamped(group[i] / before, low, high) + kRounder) - kRounder;
    terms.products[i] = group[i] * code;
    terms.squares[i] = code * code;
  }
  const float square = cascade_sum(terms.squares);
  if (square > 0) scale = cascade_sum(terms.products) / square;
  scale = std::max(scale, eps);
  return std::fabs(scale - before) / std::max(before, eps);
}

void raise(std::atomic<float>& to, float value) {
  float seen = to.load(std::memory_order_relaxed);
  while (value > seen && !to.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

// All groups advance together: the search ends when none of them changes by 1e-5.
void least_squares(std::span<const float> weight, size_t group, QParams& q, const quoin_host* host) {
  const float reach = static_cast<float>(std::max(-q.qmin, q.qmax));
  for_rows(host, q.scale.size(), group, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Range range = range_of(weight.data() + i * group, group);
      q.scale[i] = std::max(std::max(-range.low, range.high) / reach, numerics::kDefaultEps);
    }
  });
  for (int turn = 0; turn < 20; ++turn) {
    std::atomic<float> change = 0;
    for_rows(host, q.scale.size(), group, [&](size_t begin, size_t end) {
      Terms terms(group);
      float largest = 0;
      for (size_t i = begin; i < end; ++i)
        largest = std::max(largest, refine(weight.data() + i * group, q, terms, q.scale[i]));
      raise(change, largest);
    });
    if (change < 1e-5f) break;
  }
}

float in_type(DType dtype, float value) {
  if (dtype == DType::bf16) return bfloat_to_float(float_to_bfloat(value));
  return dtype == DType::f16 ? half_to_float(float_to_half(value)) : value;
}

Tensor codes_of(const Tensor& weight, const QParams& q, DType scale_dtype, bool divides, const quoin_host* host) {
  Tensor out(DType::s8, weight.shape());
  const float* from = weight.as<float>().data();
  int8_t* to = out.as<int8_t>().data();
  const size_t group = q.scale.empty() ? 1 : weight.as<float>().size() / q.scale.size();
  for_rows(host, q.scale.size(), group, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float scale = q.scale[i];
      const int32_t zero = q.zero_point_at(i);
      if (divides)
        make_codes<true>(from + i * group, to + i * group, group, scale, zero, q);
      else
        make_codes<false>(from + i * group, to + i * group, group, in_type(scale_dtype, 1.0f / scale), zero, q);
    }
  });
  return out;
}

}  // namespace

Status check_finite(const Tensor& weight, const quoin_host* host) {
  const auto elements = weight.as<float>();
  const auto columns = static_cast<size_t>(weight.shape()[1]);
  std::atomic<bool> bad = false;
  for_rows(host, static_cast<size_t>(weight.shape()[0]), columns, [&](size_t begin, size_t end) {
    uint32_t largest = 0;
    for (size_t i = begin * columns; i < end * columns; ++i)
      largest = std::max(largest, std::bit_cast<uint32_t>(elements[i]) & 0x7fffffffu);
    if (largest >= 0x7f800000u) bad = true;
  });
  if (!bad) return {};
  const auto found = std::ranges::find_if(elements, [](float w) { return !std::isfinite(w); });
  const auto at = static_cast<size_t>(found - elements.begin());
  return fail(Code::data, "weight [{}, {}] is {}", at / columns, at % columns, std::isnan(*found) ? "NaN" : "infinite");
}

// Codes are made with 1 / scale in the scale's type: where f16 cannot hold it, the scale becomes the smallest normal
// number.
Status round_scales(std::span<float> scales, DType dtype, const quoin_host* host) {
  std::atomic<bool> bad = false;
  const auto rounded = [&](float exact) {
    const float scale = in_type(dtype, exact);
    return std::isfinite(in_type(dtype, 1.0f / scale)) ? scale : 0x1p-14f;
  };
  for_rows(host, scales.size(), 32, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float scale = rounded(scales[i]);
      if (!std::isfinite(scale)) bad = true;
      scales[i] = std::isfinite(scale) ? scale : scales[i];
    }
  });
  if (!bad) return {};
  const auto found = std::ranges::find_if(scales, [&](float scale) { return !std::isfinite(in_type(dtype, scale)); });
  return fail(Code::data, "scale {} does not fit {}", *found, name(dtype));
}

Tensor quantize_codes(const Tensor& weight, const QParams& qparams, DType scale_dtype, const quoin_host* host) {
  return codes_of(weight, qparams, scale_dtype, false, host);
}

Result<IntxWeight> quantize_weight(const Tensor& weight, const IntxConfig& config, const quoin_host* host) {
  QUOIN_CHECK(check(weight, config));
  QUOIN_CHECK(check_finite(weight, host));
  QParams q;
  q.scheme = config.group == 0 ? Scheme::per_channel : Scheme::per_group;
  q.axis = config.group == 0 ? 0 : -1;
  q.group = static_cast<uint32_t>(config.group);
  q.qmin = -(1 << (config.bits - 1));
  q.qmax = (1 << (config.bits - 1)) - 1;
  QUOIN_TRY(const ScaleLayout layout, ScaleLayout::of(q, weight.shape()));
  const auto elements = weight.as<float>();
  const auto group = static_cast<size_t>(config.group == 0 ? weight.shape()[1] : config.group);
  const bool least = config.algorithm == WeightAlgorithm::hqq_scale_only;
  if (!elements.empty()) {
    q.scale.resize(static_cast<size_t>(layout.count()));
    q.zero_point.resize(q.scale.size());
  }
  if (least) {
    least_squares(elements, group, q, host);
  } else {
    for_rows(host, q.scale.size(), group, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const auto affine = min_max(elements.data() + i * group, group, q, config.mapping);
        q.scale[i] = affine.scale;
        q.zero_point[i] = affine.zero_point;
      }
    });
  }
  QUOIN_CHECK(round_scales(q.scale, config.scale_dtype, host));
  // Least squares divides by its scale; the reference's quantize, and every other scale type, multiplies.
  const bool divides = least && config.scale_dtype == DType::f32;
  return IntxWeight{codes_of(weight, q, config.scale_dtype, divides, host), std::move(q)};
}

}  // namespace quoin::quantize
