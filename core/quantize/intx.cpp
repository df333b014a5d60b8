#include "quantize/intx.hpp"

#include <algorithm>
#include <cmath>
#include <quoin/numerics.hpp>

#include "ops/half.hpp"
#include "ops/scale_layout.hpp"
#include "quantize/torch_math.hpp"

namespace quoin::quantize {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();

Status check(const Tensor& weight, const IntxConfig& config) {
  if (weight.dtype() != DType::f32 || weight.shape().size() != 2)
    return fail(Code::input, "the weight must be an f32 matrix, found {}{}", name(weight.dtype()),
                to_string(weight.shape()));
  if (config.bits < 1 || config.bits > 8) return fail(Code::input, "{} bits per weight, expected 1 to 8", config.bits);
  const int64_t columns = weight.shape()[1];
  if (config.group < 0 || (config.group > 0 && columns % config.group != 0))
    return fail(Error{Code::input,
                      fmt::format("groups of {} do not divide rows of {}", config.group, columns),
                      {},
                      "choose a divisor, or 0 for one scale per row"});
  if (config.scale_dtype != DType::f32 && config.scale_dtype != DType::bf16 && config.scale_dtype != DType::f16)
    return fail(Code::input, "scales of type {}, expected f32, bf16 or f16", name(config.scale_dtype));
  if (config.bits == 1 && config.mapping == WeightMapping::symmetric_no_clipping &&
      config.algorithm == WeightAlgorithm::min_max)
    return fail(Code::input, "one bit holds -1 and 0: no symmetric scale keeps positive weights from being cut off");
  const auto elements = weight.as<float>();
  const auto bad = std::find_if(elements.begin(), elements.end(), [](float w) { return !std::isfinite(w); });
  if (bad == elements.end()) return {};
  const int64_t at = bad - elements.begin();
  return fail(Code::data, "weight [{}, {}] is {}", at / columns, at % columns, std::isnan(*bad) ? "NaN" : "infinite");
}

numerics::Affine min_max(std::span<const float> group, const QParams& q, WeightMapping mapping) {
  const auto [low, high] = std::minmax_element(group.begin(), group.end());
  if (mapping != WeightMapping::symmetric_no_clipping)
    return numerics::choose_qparams(*low, *high, q.qmin, q.qmax, mapping == WeightMapping::symmetric, kSmallest);
  const float below = std::min(*low, 0.0f) / static_cast<float>(q.qmin);
  const float above = std::max(*high, 0.0f) / static_cast<float>(q.qmax);
  return {std::max(std::max(below, above), kSmallest), 0};
}

// One step of least squares: codes under the scale, then the scale that fits the codes best. Returns the relative
// change.
float refine(std::span<const float> group, const QParams& q, float& scale) {
  const float eps = numerics::kDefaultEps, before = scale;
  std::vector<float> products(group.size()), squares(group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    const float code = numerics::clamp_real(numerics::round_half_even(group[i] / before), static_cast<float>(q.qmin),
                                            static_cast<float>(q.qmax));
    products[i] = group[i] * code;
    squares[i] = code * code;
  }
  const float square = cascade_sum(squares);
  if (square > 0) scale = cascade_sum(products) / square;
  scale = std::max(scale, eps);
  return std::fabs(scale - before) / std::max(before, eps);
}

// All groups advance together: the search ends when none of them changes by 1e-5.
std::vector<float> least_squares(std::span<const float> weight, size_t group, const QParams& q) {
  const float reach = static_cast<float>(std::max(-q.qmin, q.qmax));
  std::vector<float> scales;
  for (size_t first = 0; first < weight.size(); first += group) {
    float largest = 0;
    for (const float w : weight.subspan(first, group)) largest = std::max(largest, std::fabs(w));
    scales.push_back(std::max(largest / reach, numerics::kDefaultEps));
  }
  for (int turn = 0; turn < 20; ++turn) {
    float change = 0;
    for (size_t i = 0; i < scales.size(); ++i)
      change = std::max(change, refine(weight.subspan(i * group, group), q, scales[i]));
    if (change < 1e-5f) break;
  }
  return scales;
}

float in_type(DType dtype, float value) {
  if (dtype == DType::bf16) return bfloat_to_float(float_to_bfloat(value));
  return dtype == DType::f16 ? half_to_float(float_to_half(value)) : value;
}

// Scales in the wanted type. Codes are made with 1 / scale in that type: where f16 cannot hold it, the scale becomes
// the smallest normal number.
Status round_scales(QParams& q, DType dtype) {
  for (float& scale : q.scale) {
    const float exact = scale;
    scale = in_type(dtype, exact);
    if (!std::isfinite(in_type(dtype, 1.0f / scale))) scale = 0x1p-14f;
    if (!std::isfinite(scale)) return fail(Code::data, "scale {} does not fit {}", exact, name(dtype));
  }
  return {};
}

Tensor codes_of(const Tensor& weight, const QParams& q, const IntxConfig& config, const ScaleLayout& layout) {
  Tensor out(DType::s8, weight.shape());
  const auto from = weight.as<float>();
  const auto to = out.as<int8_t>();
  // Least squares divides by its scale; the reference's quantize, and every other scale type, multiplies.
  const bool divides = config.algorithm == WeightAlgorithm::hqq_scale_only && config.scale_dtype == DType::f32;
  layout.runs(0, weight.size(), [&](int64_t group, int64_t first, int64_t count) {
    const float scale = q.scale[static_cast<size_t>(group)], inverse = in_type(config.scale_dtype, 1.0f / scale);
    const int32_t zero = q.zero_point_at(static_cast<size_t>(group));
    for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(first + count); ++i)
      to[i] = static_cast<int8_t>(divides ? numerics::quantize(from[i] / scale, 1.0f, zero, q.qmin, q.qmax)
                                          : numerics::quantize(from[i], inverse, zero, q.qmin, q.qmax));
  });
  return out;
}

}  // namespace

Result<IntxWeight> quantize_weight(const Tensor& weight, const IntxConfig& config) {
  QUOIN_CHECK(check(weight, config));
  QParams q;
  q.scheme = config.group == 0 ? Scheme::per_channel : Scheme::per_group;
  q.axis = config.group == 0 ? 0 : -1;
  q.group = static_cast<uint32_t>(config.group);
  q.qmin = -(1 << (config.bits - 1));
  q.qmax = (1 << (config.bits - 1)) - 1;
  QUOIN_TRY(const ScaleLayout layout, ScaleLayout::of(q, weight.shape()));
  const auto elements = weight.as<float>();
  const auto group = static_cast<size_t>(config.group == 0 ? weight.shape()[1] : config.group);
  if (config.algorithm == WeightAlgorithm::hqq_scale_only && !elements.empty()) {
    q.scale = least_squares(elements, group, q);
    q.zero_point.assign(q.scale.size(), 0);
  } else {
    for (size_t first = 0; first < elements.size(); first += group) {
      const auto affine = min_max(elements.subspan(first, group), q, config.mapping);
      q.scale.push_back(affine.scale);
      q.zero_point.push_back(affine.zero_point);
    }
  }
  QUOIN_CHECK(round_scales(q, config.scale_dtype));
  return IntxWeight{codes_of(weight, q, config, layout), std::move(q)};
}

}  // namespace quoin::quantize
