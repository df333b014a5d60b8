#include "pack.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <limits>

namespace quoin::cpu {
namespace {

// Offset of (n, k) in [n / 16][k / 4][16][4].
int64_t gemm_offset(int64_t n, int64_t k, int64_t k_padded) {
  return n / 16 * 16 * k_padded + k / 4 * 64 + n % 16 * 4 + k % 4;
}

// Calls put(n, k, value) for OIHW weights, channels innermost in k.
template <class E, class Put>
void each_conv_weight(const E* w, int64_t n, int64_t channels, int64_t area, const Put& put) {
  for (int64_t o = 0; o < n; ++o)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < area; ++t) put(o, t * channels + c, *w++);
}

}  // namespace

void pack_gemm_s8(const int8_t* w, int64_t n, int64_t k, int8_t* packed) { pack_conv_s8(w, n, k, 1, 1, k, packed); }

void pack_conv_s8(const int8_t* w, int64_t n, int64_t channels, int64_t kernel_h, int64_t kernel_w, int64_t run,
                  int8_t* packed) {
  const int64_t area = kernel_h * kernel_w, depth = channels * area, padded = round_up(run, 4);
  std::fill_n(packed, packed_conv_s8(n, depth, run), int8_t{0});
  each_conv_weight(w, n, channels, area, [&](int64_t o, int64_t k, int8_t value) {
    packed[gemm_offset(o, k / run * padded + k % run, depth / run * padded)] = value;
  });
}

void pack_depthwise_s8(const int8_t* w, int64_t channels, int64_t kernel_h, int64_t kernel_w, int8_t* packed) {
  const int64_t groups = round_up(kernel_h, 4) / 4;
  std::fill_n(packed, packed_depthwise_s8(channels, kernel_h, kernel_w), int8_t{0});
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t kh = 0; kh < kernel_h; ++kh)
      for (int64_t kw = 0; kw < kernel_w; ++kw) {
        const int64_t lane = c % 64 / 16, i = c % 16 / 4;
        const int64_t tap = ((c / 64 * kernel_w + kw) * groups + kh / 4) * 256;
        packed[tap + i * 64 + lane * 16 + c % 4 * 4 + kh % 4] = w[(c * kernel_h + kh) * kernel_w + kw];
      }
}

void column_sums(const int8_t* w, int64_t n, int64_t k, int32_t* sums) {
  std::fill_n(sums, round_up(n, 64), 0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) sums[i] += w[i * k + j];
}

bool fold_bias(const int8_t* w, int64_t n, int64_t k, const int32_t* bias, int32_t zero_x, int32_t* folded) {
  column_sums(w, n, k, folded);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t value = (bias ? int64_t{bias[i]} : 0) - int64_t{zero_x} * folded[i];
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) return false;
    folded[i] = static_cast<int32_t>(value);
  }
  return true;
}

void pack_gemm_f32(const float* w, int64_t n, int64_t k, float* packed) { pack_conv_f32(w, n, k, 1, 1, packed); }

void pack_conv_f32(const float* w, int64_t n, int64_t channels, int64_t kernel_h, int64_t kernel_w, float* packed) {
  const int64_t area = kernel_h * kernel_w, depth = channels * area;
  std::fill_n(packed, packed_gemm_f32(n, depth), 0.0f);
  each_conv_weight(w, n, channels, area,
                   [&](int64_t o, int64_t k, float value) { packed[(o / 16 * depth + k) * 16 + o % 16] = value; });
}

void pack_depthwise_f32(const float* w, int64_t channels, int64_t kernel_h, int64_t kernel_w, float* packed) {
  const int64_t area = kernel_h * kernel_w;
  std::fill_n(packed, packed_depthwise_f32(channels, kernel_h, kernel_w), 0.0f);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t t = 0; t < area; ++t) packed[(c / 16 * area + t) * 16 + c % 16] = w[c * area + t];
}

void fill_rescale_table(const Rescale& rescale, uint8_t* table) {
  fill_function_table(
      rescale, [](float x) { return x; }, table);
}

void fill_function_table(const Rescale& rescale, float (*f)(float), uint8_t* table) {
  const float inverse = 1.0f / rescale.scale_y;
  for (int32_t q = 0; q < 256; ++q) {
    const float x = f(numerics::dequantize(q, rescale.scale_x, rescale.zero_x));
    table[q] = static_cast<uint8_t>(numerics::quantize(x, inverse, rescale.zero_y, rescale.low, rescale.high));
  }
}

}  // namespace quoin::cpu
