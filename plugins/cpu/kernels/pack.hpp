// Weights in the order the kernels read them: one layout for every tier, so that a program runs on every machine
// without repacking. Deterministic scalar code; destinations must be 64-byte aligned and hold packed_*() elements.
#pragma once

#include <cstdint>

namespace quoin::cpu {

inline constexpr int64_t round_up(int64_t x, int64_t step) { return (x + step - 1) / step * step; }

// -- int8 gemm: [n / 16][k / 4][16][4], zero padded; 64 bytes hold 16 output channels x 4 k, the operand of a
// dot product
inline constexpr int64_t packed_gemm_s8(int64_t n, int64_t k) { return round_up(n, 16) * round_up(k, 4); }
// w: [n][k] row-major (linear: [out][in]).
void pack_gemm_s8(const int8_t* w, int64_t n, int64_t k, int8_t* packed);
// w: OIHW [n][channels][kernel_h][kernel_w] -> gemm with k = (kh * kernel_w + kw) * channels + c, in runs of `run`
// elements that are padded to 4 each (kernels.hpp, Windows); run divides the depth.
inline constexpr int64_t packed_conv_s8(int64_t n, int64_t depth, int64_t run) {
  return packed_gemm_s8(n, depth / run * round_up(run, 4));
}
void pack_conv_s8(const int8_t* w, int64_t n, int64_t channels, int64_t kernel_h, int64_t kernel_w, int64_t run,
                  int8_t* packed);

// -- int8 depthwise: [channels / 64][kernel_w][kernel_h / 4][4 i][4 lane][4 c][4 kh] s8, zero padded, where the
// channel within 64 is lane * 16 + i * 4 + c: the order in which byte interleaving of four input rows leaves them in
// registers.
inline constexpr int64_t packed_depthwise_s8(int64_t channels, int64_t kernel_h, int64_t kernel_w) {
  return round_up(channels, 64) * kernel_w * round_up(kernel_h, 4);
}
// w: [channels][1][kernel_h][kernel_w].
void pack_depthwise_s8(const int8_t* w, int64_t channels, int64_t kernel_h, int64_t kernel_w, int8_t* packed);

// folded[n] = bias[n] - zero_x * sum_k w[n][k] for n < `n` (w [n][k] row-major; zero_x in the u8 domain, i.e. s8 + 128;
// bias null: 0), then zeros up to round_up(n, 64). False if a value leaves int32 (the caller must decline the node).
[[nodiscard]] bool fold_bias(const int8_t* w, int64_t n, int64_t k, const int32_t* bias, int32_t zero_x,
                             int32_t* folded);
// sums[n] = sum_k w[n][k], zeros up to round_up(n, 64).
void column_sums(const int8_t* w, int64_t n, int64_t k, int32_t* sums);

// -- f32: gemm [n / 16][k][16], depthwise [channels / 16][kernel_h * kernel_w][16]; zero padded
inline constexpr int64_t packed_gemm_f32(int64_t n, int64_t k) { return round_up(n, 16) * k; }
void pack_gemm_f32(const float* w, int64_t n, int64_t k, float* packed);
void pack_conv_f32(const float* w, int64_t n, int64_t channels, int64_t kernel_h, int64_t kernel_w, float* packed);
inline constexpr int64_t packed_depthwise_f32(int64_t channels, int64_t kernel_h, int64_t kernel_w) {
  return round_up(channels, 16) * kernel_h * kernel_w;
}
void pack_depthwise_f32(const float* w, int64_t channels, int64_t kernel_h, int64_t kernel_w, float* packed);

// -- 256-entry tables for lookup_u8, indexed by the u8 input (s8 + 128); zero points and bounds in the u8 domain
// table[q] = numerics::quantize(numerics::dequantize(q, scale_x, zero_x), 1 / scale_y, zero_y, low, high)
struct Rescale {
  float scale_x = 1;
  int32_t zero_x = 0;
  float scale_y = 1;
  int32_t zero_y = 0, low = 0, high = 255;
};
void fill_rescale_table(const Rescale& rescale, uint8_t* table);
// The same with y = f(x) between dequantize and quantize: sigmoid, hardswish, gelu ... on quantized values.
void fill_function_table(const Rescale& rescale, float (*f)(float), uint8_t* table);

}  // namespace quoin::cpu
