// The one numerics library: what every observer, reference kernel and fast kernel computes, bit for bit.
// Header-only, no dependency. All arithmetic is IEEE binary32 without contraction, rounding to nearest even
// (compile with -ffp-contract=off and the default rounding mode). Thread safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace quoin::numerics {

inline constexpr float kDefaultEps = std::numeric_limits<float>::epsilon();  // 2^-23, the reference's smallest scale

struct Affine {
  float scale = 1;
  int32_t zero_point = 0;
};

inline float round_half_even(float x) { return std::nearbyintf(x); }

// NaN becomes low, so that a cast to integer is always defined.
inline float clamp_real(float x, float low, float high) { return x > low ? (x < high ? x : high) : low; }

// Scale and zero point that cover [min, max] and 0 with the integers qmin..qmax.
//   symmetric: scale = max(|min|, |max|) / ((qmax - qmin) / 2); zero_point = 0, or the middle of an unsigned range
//   affine:    scale = (max - min) / (qmax - qmin); zero_point = clamp(qmin - round(min / scale), qmin, qmax)
// scale >= eps. Precondition: min <= max, both finite. Source: torchao PT2E `_calculate_qparams`, evaluated in binary32.
inline Affine choose_qparams(float min, float max, int32_t qmin, int32_t qmax, bool symmetric, float eps = kDefaultEps) {
  const float low = std::min(min, 0.0f), high = std::max(max, 0.0f);
  const float steps = static_cast<float>(static_cast<int64_t>(qmax) - qmin);
  if (symmetric) {
    const float reach = std::max(-low, high);
    const int32_t middle = qmin < 0 ? 0 : static_cast<int32_t>((static_cast<int64_t>(qmin) + qmax) / 2);
    return {std::max(reach / (steps / 2.0f), eps), middle};
  }
  const float scale = std::max((high - low) / steps, eps);
  const float zero = static_cast<float>(qmin) - round_half_even(low / scale);
  return {scale, static_cast<int32_t>(clamp_real(zero, static_cast<float>(qmin), static_cast<float>(qmax)))};
}

// q = clamp(round(x * (1 / scale)) + zero_point, qmin, qmax). Pass inverse = 1.0f / scale: the reference multiplies.
inline int32_t quantize(float x, float inverse, int32_t zero_point, int32_t qmin, int32_t qmax) {
  const float q = round_half_even(x * inverse) + static_cast<float>(zero_point);
  return static_cast<int32_t>(clamp_real(q, static_cast<float>(qmin), static_cast<float>(qmax)));
}

// x = (q - zero_point) * scale
inline float dequantize(int32_t q, float scale, int32_t zero_point) { return static_cast<float>(q - zero_point) * scale; }

// The factor from an int32 accumulator of products to output steps: (scale_x * scale_w) / scale_y.
inline float requantize_multiplier(float scale_x, float scale_w, float scale_y) { return (scale_x * scale_w) / scale_y; }

// q = round(clamp(real * 1, qmin - zero_point, qmax - zero_point)) + zero_point, where `real` counts output steps from 0.
// Clamping first equals clamping last (both are monotone) and keeps the conversion to integer defined.
inline int32_t to_steps(float real, int32_t zero_point, int32_t qmin, int32_t qmax) {
  const float low = static_cast<float>(qmin - zero_point), high = static_cast<float>(qmax - zero_point);
  return static_cast<int32_t>(round_half_even(clamp_real(real, low, high))) + zero_point;
}

// conv, linear, matmul: y = to_steps(float(acc) * multiplier); acc holds sum((x - zx) * (w - zw)) + bias, exact in int32
// (conversion chooses weight scales so that no input can make it overflow).
inline int32_t requantize(int32_t acc, float multiplier, int32_t zero_point, int32_t qmin, int32_t qmax) {
  return to_steps(static_cast<float>(acc) * multiplier, zero_point, qmin, qmax);
}

// The same for sums that int32 need not hold: products of two activations of 16 bits, long averages. The sum is exact in
// int64 and rounded to binary32 once; where it fits int32 this is the function above.
inline int32_t requantize(int64_t sum, float multiplier, int32_t zero_point, int32_t qmin, int32_t qmax) {
  return to_steps(static_cast<float>(sum) * multiplier, zero_point, qmin, qmax);
}

// add: y = to_steps((a - za) * (sa / sy) + (b - zb) * (sb / sy)); each product rounded, then the sum (no FMA).
inline int32_t add(int32_t a_minus_zero, float a_ratio, int32_t b_minus_zero, float b_ratio, int32_t zero_point, int32_t qmin,
                   int32_t qmax) {
  const float left = static_cast<float>(a_minus_zero) * a_ratio;
  const float right = static_cast<float>(b_minus_zero) * b_ratio;
  return to_steps(left + right, zero_point, qmin, qmax);
}

// sub: as add with -b_ratio (negation is exact). alpha * b: b_ratio = alpha * (sb / sy).
// mul: y = requantize((a - za) * (b - zb), requantize_multiplier(sa, sb, sy)); with 16 bits the product is exact in int64.

// Average of n quantized elements: y = requantize(sum(x - zx), average_multiplier(sx, sy, n)); the sum is exact, in
// int64 where n * 65535 (n * 255 for 8 bits) does not fit int32. n counts what the operator divides by (a pool's padding where it counts: padding is real 0).
inline float average_multiplier(float scale_x, float scale_y, int64_t n) { return (scale_x / scale_y) / static_cast<float>(n); }

// The same real number in other qparams (moved elements, concat, clamps): y = to_steps((q - zx) * ratio), where
// ratio = sx / sy. With equal qparams this is q.
inline int32_t rescale(int32_t q, int32_t zero_x, float ratio, int32_t zero_point, int32_t qmin, int32_t qmax) {
  return to_steps(static_cast<float>(q - zero_x) * ratio, zero_point, qmin, qmax);
}

// Float result of an integer product (static or dynamic activations): float(acc) * (sx * sw); a float bias is added
// after. Weights with groups along the inner dim have a formula of their own: dequantize_groups.
inline float dequantize_product(int32_t acc, float scale_x, float scale_w) {
  return static_cast<float>(acc) * (scale_x * scale_w);
}

inline float dequantize_product(int64_t sum, float scale_x, float scale_w) {
  return static_cast<float>(sum) * (scale_x * scale_w);
}

// int32 bias with scale s = scale_x * scale_w and zero point 0: round(bias / s) in binary64, saturated to int32.
inline int32_t quantize_bias(float bias, float scale_x, float scale_w) {
  const double q = std::nearbyint(static_cast<double>(bias) / static_cast<double>(scale_x * scale_w));
  constexpr double low = std::numeric_limits<int32_t>::min(), high = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(q > low ? (q < high ? q : high) : low);
}

// Integer image of a real clamp bound under (scale, zero_point): relu, hardtanh and clamp on quantized values.
inline int32_t clamp_bound(float bound, float scale, int32_t zero_point, int32_t qmin, int32_t qmax) {
  return quantize(bound, 1.0f / scale, zero_point, qmin, qmax);
}

// -- dynamic activations: scale and zero point of one row or tensor, chosen at run time from its range

enum class Dynamic : uint32_t {
  affine,           // choose_qparams, affine; source: quantized_decomposed.choose_qparams, torchao.choose_qparams_affine
  symmetric,        // choose_qparams, symmetric; source: quantized_decomposed.choose_qparams_symmetric
  token,            // the zero point comes from the end of [min, max] whose rounding error is smaller and is added before
                    // rounding, in binary64 as the scales are there; source: quantized_decomposed.quantize_per_token,
                    // choose_qparams_per_token_asymmetric
  token_symmetric,  // scale = max(|min|, |max|, 1e-5) / 127; source: quantized_decomposed.choose_qparams_per_token
};

// The value of attribute `scheme` of quoin.linear_dynamic.
inline std::optional<Dynamic> dynamic_scheme(std::string_view name) {
  constexpr std::string_view kNames[] = {"affine", "symmetric", "token", "token_symmetric"};
  for (uint32_t i = 0; i < 4; ++i)
    if (kNames[i] == name) return static_cast<Dynamic>(i);
  return std::nullopt;
}

// `eps`: the smallest scale; token_symmetric has its own. The token schemes are those of qmin..qmax = -128..127.
inline Affine choose_dynamic(Dynamic scheme, float min, float max, int32_t qmin, int32_t qmax, float eps) {
  if (scheme == Dynamic::affine || scheme == Dynamic::symmetric)
    return choose_qparams(min, max, qmin, qmax, scheme == Dynamic::symmetric, eps);
  if (scheme == Dynamic::token_symmetric) return {std::max(std::max(-min, max), 1e-5f) / 127.0f, 0};
  const float low = std::min(min, 0.0f), high = std::max(max, 0.0f);
  const float bottom = static_cast<float>(qmin), top = static_cast<float>(qmax);
  const float scale = std::max((high - low) / (top - bottom), eps);
  const float from_low = low / scale, from_high = high / scale;
  const float zero = (bottom + from_low) + (top + from_high) > 0 ? bottom - from_low : top - from_high;
  return {scale, static_cast<int32_t>(round_half_even(clamp_real(zero, bottom, top)))};
}

// q of a dynamic activation.
inline int32_t quantize_dynamic(Dynamic scheme, float x, const Affine& a, int32_t qmin, int32_t qmax) {
  if (scheme != Dynamic::token) return quantize(x, 1.0f / a.scale, a.zero_point, qmin, qmax);
  const double q = std::nearbyint(static_cast<double>(x) * (1.0 / static_cast<double>(a.scale)) + a.zero_point);
  return static_cast<int32_t>(q > qmin ? (q < qmax ? q : qmax) : qmin);  // NaN: qmin
}

// Float result of a row of dynamic activations (scale, zero point: x) times an output row of a weight whose inner dim is
// cut into groups g with a scale s[g] and a zero point zw[g] each; a float bias is added after.
//   acc  = sum over g of float(sum over the group of qx * (qw - zw[g])) * s[g]    qx: the codes of x as they are
//   corr = sum over g of float(sum over the group of (qw - zw[g])) * s[g]
//   y = (acc - float(zero_point) * corr) * scale
// Integer sums are exact in int32; acc and corr start from 0 and take the groups in ascending order, every product and
// every sum rounded to binary32 on its own. corr does not depend on x: packed weights keep it.
inline float dequantize_groups(float acc, float corr, const Affine& x) {
  return (acc - static_cast<float>(x.zero_point) * corr) * x.scale;
}

}  // namespace quoin::numerics
