// Fast kernels of the cpu backend: plain functions over raw buffers, one table of them per instruction set ("tier").
//
// Conventions that hold for every function here:
//   layout    Feature maps are NHWC, one image per call: pixel p, channel c at x[p * x_stride + c]; strides
//             count elements.
//   u8        Quantized activations are u = s8 + 128, and so are their zero points and bounds: all "u8"
//             parameters (zero_point, low, high) live in 0..255. Weights are s8 with zero point 0.
//   numerics  Integer results equal the formulas of <quoin/numerics.hpp> bit for bit on every tier. Float results may
//             differ between tiers by rounding (FMA, order of sums); the bound is stated where it is not obvious.
//   ranges    Each call handles a range (rows, pixels or elements) and touches nothing else of the output, so disjoint
//             ranges may run on different threads. Nothing here allocates, locks or keeps state: all thread safe.
//   padding   Inputs of u8 kernels may be READ up to 64 bytes past their last element (never written): allocate
//             activations with kReadPadding spare bytes. Per-channel arrays (bias, multiplier, sums, weight scales) are
//             read up to round_up(channels, kChannelPadding) elements. Float tensors are never read past their end,
//             except per-channel arrays (bias) of gemm_f32 and depthwise_f32. Packed weights come padded from pack.hpp.
//   NaN       Float clamps let NaN through, as the framework does; quantizing turns it into `low`.
//   aliasing  Elementwise kernels may run in place (y == x); all others need disjoint buffers.
// Preconditions are the caller's duty (sizes >= 0, low <= high, k >= 1): kernels check nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace quoin::cpu {

inline constexpr int64_t kReadPadding = 64;     // bytes readable after the end of every u8 input
inline constexpr int64_t kChannelPadding = 64;  // per-channel arrays are padded to a multiple of this many elements

// Geometry of conv2d and pooling over one image. Bottom and right padding follow from out_h and out_w.
// Input row of output row oh and kernel row kh: oh * stride_h - pad_top + kh * dilation_h (columns alike).
struct Window {
  int32_t in_h = 1, in_w = 1, out_h = 1, out_w = 1;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;
};

// How an int32 accumulator becomes u8: numerics::requantize(acc, multiplier[n], zero_point, low, high).
struct Requantize {
  const float* multiplier = nullptr;  // per channel: numerics::requantize_multiplier(sx, sw[n], sy)
  int32_t zero_point = 0, low = 0, high = 255;
};

// Rows that are no dense matrix: windows of an image, the left operand of a convolution. Row m consists of `runs` runs
// of k elements; the first lies at rows[m] + first, run r + 1 jumps[r] elements behind run r. The right operand has the
// runs behind each other, of u8 each rounded up to 4 elements (pack_conv_s8), so that up to 3 elements behind a run are
// read and meet zeros.
template <class T>
struct Windows {
  const T* const* rows = nullptr;  // null: row m is at a + m * a_stride
  const int64_t* jumps = nullptr;  // [runs], the last of any value; null: one run
  int64_t runs = 1;
  int64_t first = 0;  // the channels in front of a group's
};

// -- int8

// y[m][n] = requantize(bias[n] + sum_k a[m][k] * w[n][k]). With bias[n] = b[n] - za * sum_k w[n][k] (fold_bias in
// pack.hpp) this is the convolution's sum((x - zx) * w) + b. A range of columns that starts at a multiple of 16, n0, is
// the same call with b + n0 * round_up(k, 4), bias + n0, multiplier + n0, y + n0.
struct GemmU8 {
  const uint8_t* a = nullptr;  // [rows][k]
  int64_t a_stride = 0;
  const int8_t* b = nullptr;  // pack_gemm_s8
  const int32_t* bias = nullptr;
  uint8_t* y = nullptr;  // [rows][n]
  int64_t y_stride = 0;
  int64_t rows = 0, n = 0, k = 0;
  Windows<uint8_t> window;
  Requantize out;
};

// Same product, float result:
//   acc     = sum_k a[m][k] * w[n][k] + bias[n] - row_zero[m] * sums[n]         (int32, exact)
//   y[m][n] = clamp(float(acc) * (row_scale[m] * multiplier[n]) + float_bias[n], low, high)
// Static dequantize: bias as in GemmU8, multiplier[n] = sx * sw[n], row_* and float_bias null.
// Dynamic activations: bias null, row_scale/row_zero from quantize_rows, sums = column_sums, multiplier = weight
// scales. Every product and sum is rounded on its own (no FMA), so the result is the same on every tier.
struct GemmU8F32 {
  const uint8_t* a = nullptr;
  int64_t a_stride = 0;
  const int8_t* b = nullptr;
  const int32_t* bias = nullptr;      // null: 0
  const int32_t* sums = nullptr;      // [n], only with row_zero
  const int32_t* row_zero = nullptr;  // [rows] in 0..255; null: 0
  const float* row_scale = nullptr;   // [rows]; null: 1
  const float* multiplier = nullptr;  // [n]
  const float* float_bias = nullptr;  // [n]; null: none
  float* y = nullptr;
  int64_t y_stride = 0;
  int64_t rows = 0, n = 0, k = 0;
  Windows<uint8_t> window;
  float low = -__builtin_inff(), high = __builtin_inff();
};

// One filter per channel (multiplier 1): y[p][c] = requantize(bias[c] + sum_t x[tap t of p][c] * w[c][t]); taps outside
// the image read zero_x, so bias is folded over all taps. Writes output rows [row_begin, row_end).
struct DepthwiseU8 {
  const uint8_t* x = nullptr;
  int64_t x_stride = 0;
  const int8_t* w = nullptr;  // pack_depthwise_s8
  const int32_t* bias = nullptr;
  uint8_t* y = nullptr;
  int64_t y_stride = 0;
  int64_t channels = 0;
  int64_t row_begin = 0, row_end = 0;
  uint8_t zero_x = 128;
  Requantize out;
  Window window;
};

// rows x cols elements; a row stride of 0 repeats one row (vector over the last dimension).
// add: y = numerics::add(a - a_zero, a_ratio, b - b_zero, b_ratio, zero_point, low, high), ratios sa / sy and sb / sy
// mul: y = numerics::requantize((a - a_zero) * (b - b_zero), a_ratio, ...), a_ratio = requantize_multiplier(sa, sb, sy)
struct BinaryU8 {
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  uint8_t* y = nullptr;
  int64_t a_stride = 0, b_stride = 0, y_stride = 0;
  int64_t rows = 1, cols = 0;
  int32_t a_zero = 0, b_zero = 0;
  float a_ratio = 1, b_ratio = 1;
  int32_t zero_point = 0, low = 0, high = 255;
};

// Pooling of output rows [row_begin, row_end) over all channels.
//   max: over the taps inside the image (at least one must be)
//   avg: u8: requantize(sum of (x - zero_x) over taps inside, ratio / float(divisor), ...), ratio = sx / sy
//        f32: sum * (1 / float(divisor)). divisor: the fixed one if > 0, else the number of taps inside the image
//        (count_include_pad: set divisor to kernel_h * kernel_w when no window leaves the padded image).
struct PoolU8 {
  const uint8_t* x = nullptr;
  int64_t x_stride = 0;
  uint8_t* y = nullptr;
  int64_t y_stride = 0;
  int64_t channels = 0, row_begin = 0, row_end = 0;
  int32_t divisor = 0, zero_x = 0;
  float ratio = 1;
  int32_t zero_point = 0, low = 0, high = 255;
  Window window;
};
struct PoolF32 {
  const float* x = nullptr;
  int64_t x_stride = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
  int64_t channels = 0, row_begin = 0, row_end = 0;
  int32_t divisor = 0;
  Window window;
};

// Mean over all pixels (NHWC): y[c] = requantize(sum_p (x[p][c] - zero_x), ratio / float(pixels), ...), ratio = sx /
// sy. A range of channels is the same call with shifted x and y. pixels < 2^22.
struct MeanU8 {
  const uint8_t* x = nullptr;
  int64_t x_stride = 0;
  uint8_t* y = nullptr;
  int64_t pixels = 0, channels = 0;
  int32_t zero_x = 0;
  float ratio = 1;
  int32_t zero_point = 0, low = 0, high = 255;
};
struct MeanF32 {
  const float* x = nullptr;
  int64_t x_stride = 0;
  float* y = nullptr;
  int64_t pixels = 0, channels = 0;
};

// Element conversions over a matrix: y[r][c] = f(x[r][c]) or, transposed, y[c][r] = f(x[r][c]).
// NCHW -> NHWC is the transpose of [C][H*W]; NHWC -> NCHW that of [H*W][C]. Ranges: shift x and y, shrink rows or cols.
template <class From, class To>
struct Convert {
  const From* x = nullptr;
  To* y = nullptr;
  int64_t rows = 1, cols = 0;
  int64_t x_stride = 0, y_stride = 0;  // between rows of x, between rows of y
  float scale = 1;                     // quantize takes scale, not its inverse
  int32_t zero_point = 0, low = 0, high = 255;
};
using QuantizeF32 = Convert<float, uint8_t>;   // numerics::quantize(x, 1 / scale, zero_point, low, high)
using DequantizeU8 = Convert<uint8_t, float>;  // numerics::dequantize(x, scale, zero_point)
using CopyU8 = Convert<uint8_t, uint8_t>;      // y = x ^ zero_point; 0x80 turns s8 into u8 and back, 0 copies
using CopyF32 = Convert<float, float>;         // y = x

// Rows of y through a 256-entry table: requantize, clamp, concat parts with their own scale, any unary function.
struct LookupU8 {
  const uint8_t* x = nullptr;
  uint8_t* y = nullptr;
  int64_t rows = 1, cols = 0, x_stride = 0, y_stride = 0;
  const uint8_t* table = nullptr;  // [256]; null: copy
};

// How the integers of a row are made, as numerics::quantize_dynamic does; y = q + 128.
struct RowParams {
  float scale = 1;
  int32_t zero_point = 0;        // of q
  bool before_rounding = false;  // Dynamic::token: the zero point is added first, in binary64
};

// Dynamic activations: per row min and max, which always cover 0, then y by what `choose` makes of them
// (numerics::choose_dynamic: it belongs to the caller, so that every tier computes one formula). Values must be finite.
struct QuantizeRows {
  const float* x = nullptr;
  int64_t x_stride = 0;
  uint8_t* y = nullptr;
  int64_t y_stride = 0;
  float* scale = nullptr;         // [rows]
  int32_t* zero_point = nullptr;  // [rows], in 0..255
  int64_t rows = 0, cols = 0;
  RowParams (*choose)(const QuantizeRows& g, float min, float max) = nullptr;
  uint32_t scheme = 0;  // for choose: numerics::Dynamic
  float eps = 0;        // for choose: the smallest scale
};

// -- f32

// y[m][n] = clamp(scale * sum_k a[m][k] * B[k][n] + bias[n] + row_bias[m], low, high). B(k, n) = b[(n / 16) *
// b_block_stride + k * b_row_stride + n % 16]: packed (pack_gemm_f32): b_block_stride = 16 * k, b_row_stride = 16;
// row-major [k][n] in place: b_block_stride = 16, b_row_stride = n. A [n][k] operand goes through pack_rows_f32 first.
struct GemmF32 {
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;
  int64_t b_block_stride = 0, b_row_stride = 16;
  const float* bias = nullptr;      // [n], not read past n; null: 0
  const float* row_bias = nullptr;  // [rows], for products with the weights on the left; null: 0
  float* y = nullptr;
  int64_t y_stride = 0;
  int64_t rows = 0, n = 0, k = 0;
  Windows<float> window;  // b then has runs * k rows
  float scale = 1;
  float low = -__builtin_inff(), high = __builtin_inff();
};

// Packs rows of b [n][k] (row stride b_stride) into gemm blocks y[n / 16][k][16], zero padded: round_up(n, 16) * k
// floats.
struct PackRowsF32 {
  const float* b = nullptr;
  int64_t b_stride = 0, n = 0, k = 0;
  float* y = nullptr;
};

struct DepthwiseF32 {
  const float* x = nullptr;
  int64_t x_stride = 0;
  const float* w = nullptr;     // pack_depthwise_f32
  const float* bias = nullptr;  // null: 0
  float* y = nullptr;
  int64_t y_stride = 0;
  int64_t channels = 0, row_begin = 0, row_end = 0;
  float low = -__builtin_inff(), high = __builtin_inff();
  Window window;
};

// Depthwise convolution of one channel of an NCHW map. x is a padded copy of the plane, its columns split by phase:
// padded column j of padded row i lies at x[i * pitch + (j % stride_w) * phase_width + j / stride_w], pitch = stride_w
// * phase_width. Padding is part of the copy: window.pad_* and in_* are not used. phase_width must leave 16 readable
// elements after the last column used. y: [out_h][out_w], rows [row_begin, row_end); w: [kernel_h][kernel_w].
struct PlaneF32 {
  const float* x = nullptr;
  int64_t phase_width = 0;
  const float* w = nullptr;
  float bias = 0;
  float* y = nullptr;
  int64_t row_begin = 0, row_end = 0;
  float low = -__builtin_inff(), high = __builtin_inff();
  Window window;
};

// rows x cols; row stride 0 repeats a row; *_scalar: every element is a[0] (b[0]).
struct BinaryF32 {
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;
  int64_t a_stride = 0, b_stride = 0, y_stride = 0;
  int64_t rows = 1, cols = 0;
  bool a_scalar = false, b_scalar = false;
  float low = -__builtin_inff(), high = __builtin_inff();  // fused clamp
};

struct ClampF32 {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t count = 0;
  float low = -__builtin_inff(), high = __builtin_inff();
};

// Softmax over each row: exp(scale * (x - max)) / sum.
struct SoftmaxF32 {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t rows = 0, cols = 0, x_stride = 0, y_stride = 0;
  float scale = 1;  // > 0
};

// (x - mean) / sqrt(variance + eps) * gamma + beta, variance over cols (biased).
struct LayerNormF32 {
  const float* x = nullptr;
  const float* gamma = nullptr;  // [cols]; null: 1
  const float* beta = nullptr;   // [cols]; null: 0
  float* y = nullptr;
  int64_t rows = 0, cols = 0, x_stride = 0, y_stride = 0;
  float eps = 1e-5f;
};

// y[i] = f(x[i]). Relative error of exp below 2e-7; absolute error of tanh, sigmoid and erf (inside gelu) below 1e-6.
using UnaryF32 = void (*)(const float* x, float* y, int64_t count);

// -- tiers

// Of language models: language.hpp.
struct RmsNormF32;
struct RopeF32;
template <class T>
struct Attention;

// Low-bit weights in groups: grouped.hpp.
struct QuantizeTokens;
struct GemmGrouped;
struct GemmGroupedF32;
struct EmbedGrouped;

struct KernelTable {
  const char* name = nullptr;  // "scalar", "avx2", "avx_vnni", "avx512", "avx512_vnni", "amx"
  uint64_t isa = 0;            // QUOIN_ISA_* bits needed

  void (*gemm_u8)(const GemmU8&) = nullptr;
  void (*gemm_u8_f32)(const GemmU8F32&) = nullptr;
  void (*depthwise_u8)(const DepthwiseU8&) = nullptr;
  void (*add_u8)(const BinaryU8&) = nullptr;
  void (*mul_u8)(const BinaryU8&) = nullptr;
  void (*lookup_u8)(const LookupU8&) = nullptr;
  void (*mean_u8)(const MeanU8&) = nullptr;
  void (*avg_pool_u8)(const PoolU8&) = nullptr;
  void (*max_pool_u8)(const PoolU8&) = nullptr;
  void (*quantize)(const QuantizeF32&) = nullptr;
  void (*quantize_transposed)(const QuantizeF32&) = nullptr;
  void (*quantize_rows)(const QuantizeRows&) = nullptr;
  void (*dequantize)(const DequantizeU8&) = nullptr;
  void (*dequantize_transposed)(const DequantizeU8&) = nullptr;
  void (*copy_u8)(const CopyU8&) = nullptr;
  void (*transpose_u8)(const CopyU8&) = nullptr;

  void (*quantize_tokens)(const QuantizeTokens&) = nullptr;
  void (*gemm_grouped)(const GemmGrouped&) = nullptr;
  void (*gemm_grouped_f32)(const GemmGroupedF32&) = nullptr;
  void (*embed_grouped)(const EmbedGrouped&) = nullptr;

  void (*gemm_f32)(const GemmF32&) = nullptr;
  void (*pack_rows_f32)(const PackRowsF32&) = nullptr;
  void (*depthwise_f32)(const DepthwiseF32&) = nullptr;
  void (*depthwise_plane_f32)(const PlaneF32&) = nullptr;
  void (*add_f32)(const BinaryF32&) = nullptr;
  void (*sub_f32)(const BinaryF32&) = nullptr;
  void (*mul_f32)(const BinaryF32&) = nullptr;
  void (*div_f32)(const BinaryF32&) = nullptr;
  void (*clamp_f32)(const ClampF32&) = nullptr;
  void (*mean_f32)(const MeanF32&) = nullptr;
  void (*avg_pool_f32)(const PoolF32&) = nullptr;
  void (*max_pool_f32)(const PoolF32&) = nullptr;
  void (*softmax_f32)(const SoftmaxF32&) = nullptr;
  void (*layer_norm_f32)(const LayerNormF32&) = nullptr;
  void (*transpose_f32)(const CopyF32&) = nullptr;
  void (*rms_norm_f32)(const RmsNormF32&) = nullptr;
  void (*rope_f32)(const RopeF32&) = nullptr;
  void (*attention_f32)(const Attention<float>&) = nullptr;  // over a cache of floats, of s8 codes
  void (*attention_s8)(const Attention<int8_t>&) = nullptr;
  void (*silu_mul_f32)(const float* a, const float* b, float* y, int64_t count) = nullptr;  // silu(a) * b
  UnaryF32 gelu_f32 = nullptr;       // x * (1 + erf(x / sqrt 2)) / 2
  UnaryF32 gelu_tanh_f32 = nullptr;  // the tanh approximation of gelu
  UnaryF32 tanh_f32 = nullptr;
  UnaryF32 sigmoid_f32 = nullptr;
  UnaryF32 silu_f32 = nullptr;       // x * sigmoid(x)
  UnaryF32 hardswish_f32 = nullptr;  // x * clamp(x + 3, 0, 6) / 6
  UnaryF32 exp_f32 = nullptr;
};

// Every tier whose bits are all in `isa` (QUOIN_ISA_* of quoin_host.isa), worst first; at least the scalar one. Tables
// of others are not made: that alone takes instructions which the machine may lack.
std::vector<const KernelTable*> tiers(uint64_t isa);
// The best of them.
const KernelTable& select(uint64_t isa);

}  // namespace quoin::cpu
