// Elementwise work on u8: add, mul, lookup, conversions, dynamic quantization of rows.
#pragma once

#include <utility>

#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

template <class T>
void add_u8(const BinaryU8& g) {
  const Requantizer<T> requantize(g.zero_point, g.low, g.high);
  const typename T::I a_zero = T::set1_int(g.a_zero), b_zero = T::set1_int(g.b_zero);
  const typename T::F a_ratio = T::set1(g.a_ratio), b_ratio = T::set1(g.b_ratio);
  for (int64_t r = 0; r < g.rows; ++r) {
    const uint8_t *a = g.a + r * g.a_stride, *b = g.b + r * g.b_stride;
    uint8_t* y = g.y + r * g.y_stride;
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F left = T::to_float(T::sub_int(T::load_u8_n(a + i, n), a_zero)) * a_ratio;
      const typename T::F right = T::to_float(T::sub_int(T::load_u8_n(b + i, n), b_zero)) * b_ratio;
      T::store_u8_n(y + i, requantize.steps(left + right), n);
    });
  }
}

template <class T>
void mul_u8(const BinaryU8& g) {
  const Requantizer<T> requantize(g.zero_point, g.low, g.high);
  const typename T::I a_zero = T::set1_int(g.a_zero), b_zero = T::set1_int(g.b_zero);
  const typename T::F ratio = T::set1(g.a_ratio);
  for (int64_t r = 0; r < g.rows; ++r) {
    const uint8_t *a = g.a + r * g.a_stride, *b = g.b + r * g.b_stride;
    uint8_t* y = g.y + r * g.y_stride;
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::I left = T::sub_int(T::load_u8_n(a + i, n), a_zero);
      const typename T::I right = T::sub_int(T::load_u8_n(b + i, n), b_zero);
      T::store_u8_n(y + i, requantize(T::mul_int(left, right), ratio), n);
    });
  }
}

template <class T>
void lookup_u8(const LookupU8& g) {
  for (int64_t r = 0; r < g.rows; ++r) {
    const uint8_t* x = g.x + r * g.x_stride;
    uint8_t* y = g.y + r * g.y_stride;
    if (g.table == nullptr) {
      std::memmove(y, x, static_cast<size_t>(g.cols));
      continue;
    }
    for (int64_t c = 0; c < g.cols; ++c) y[c] = g.table[x[c]];
  }
}

// -- f32 <-> u8

// numerics::quantize: clamps after adding the zero point, unlike requantize.
template <class T>
struct Quantizer {
  typename T::F inverse, zero, low, high;
  QUOIN_INLINE Quantizer(float inverse_scale, int32_t zero_point, int32_t low_bound, int32_t high_bound)
      : inverse(T::set1(inverse_scale)),
        zero(T::set1(static_cast<float>(zero_point))),
        low(T::set1(static_cast<float>(low_bound))),
        high(T::set1(static_cast<float>(high_bound))) {}
  QUOIN_INLINE void row(const float* x, uint8_t* y, int64_t count) const {
    each_vector<T>(count, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F q = T::round(T::load_n(x + i, n) * inverse) + zero;
      T::store_u8_n(y + i, T::round_to_int(T::min(T::max(q, low), high)), n);
    });
  }
};

template <class T>
void quantize(const QuantizeF32& g) {
  const Quantizer<T> quantizer(1.0f / g.scale, g.zero_point, g.low, g.high);
  for (int64_t r = 0; r < g.rows; ++r) quantizer.row(g.x + r * g.x_stride, g.y + r * g.y_stride, g.cols);
}

template <class T>
QUOIN_INLINE void dequantize_row(const DequantizeU8& g, const uint8_t* x, float* y, int64_t count) {
  const typename T::I zero = T::set1_int(g.zero_point);
  const typename T::F scale = T::set1(g.scale);
  each_vector<T>(count, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    T::store_n(y + i, T::to_float(T::sub_int(T::load_u8_n(x + i, n), zero)) * scale, n);
  });
}

template <class T>
void dequantize(const DequantizeU8& g) {
  for (int64_t r = 0; r < g.rows; ++r) dequantize_row<T>(g, g.x + r * g.x_stride, g.y + r * g.y_stride, g.cols);
}

// -- transposes: tiles that fit the L1 cache, converted on the fly

constexpr int64_t kTileRows = 16, kTileColumns = 64;

typedef uint8_t Bytes16 __attribute__((vector_size(16)));

// Bytes [16 * Part, 16 * Part + 16) of the pixels whose channels are a, b and c.
template <int Part, int... J>
QUOIN_INLINE Bytes16 interleave3(Bytes16 a, Bytes16 b, Bytes16 c, std::integer_sequence<int, J...>) {
  const auto pixel = [](int j) constexpr { return (Part * 16 + j) / 3; };
  const auto channel = [](int j) constexpr { return (Part * 16 + j) % 3; };
  const Bytes16 two = __builtin_shufflevector(a, b, (channel(J) == 1 ? 16 + pixel(J) : pixel(J))...);
  return __builtin_shufflevector(two, c, (channel(J) == 2 ? 16 + pixel(J) : J)...);
}

// Pixels of three dense channels; reads and writes whole vectors, `count` a multiple of 16.
QUOIN_INLINE void interleave3(const uint8_t* a, const uint8_t* b, const uint8_t* c, uint8_t* y, int64_t count) {
  for (int64_t i = 0; i < count; i += 16, y += 48) {
    Bytes16 channel[3];
    std::memcpy(&channel[0], a + i, 16);
    std::memcpy(&channel[1], b + i, 16);
    std::memcpy(&channel[2], c + i, 16);
    constexpr std::make_integer_sequence<int, 16> kBytes;
    const Bytes16 out[3] = {interleave3<0>(channel[0], channel[1], channel[2], kBytes),
                            interleave3<1>(channel[0], channel[1], channel[2], kBytes),
                            interleave3<2>(channel[0], channel[1], channel[2], kBytes)};
    std::memcpy(y, out, sizeof out);
  }
}

// Calls convert(x, to, count) per row piece of the source, then scatters the converted tile.
template <class To, class Args, class Fn>
QUOIN_INLINE void transpose_tiles(const Args& g, const Fn& convert) {
  alignas(64) To tile[kTileRows][kTileColumns];
  for (int64_t c0 = 0; c0 < g.cols; c0 += kTileColumns) {
    const int64_t cols = smaller(kTileColumns, g.cols - c0);
    for (int64_t r0 = 0; r0 < g.rows; r0 += kTileRows) {
      const int64_t rows = smaller(kTileRows, g.rows - r0);
      for (int64_t r = 0; r < rows; ++r) convert(g.x + (r0 + r) * g.x_stride + c0, tile[r], cols);
      To* y = g.y + c0 * g.y_stride + r0;
      if (rows == kTileRows) {
        for (int64_t c = 0; c < cols; ++c) {
          QUOIN_UNROLL
          for (int64_t r = 0; r < kTileRows; ++r) y[c * g.y_stride + r] = tile[r][c];
        }
      } else if (rows == 3) {  // images
        int64_t done = 0;
        if constexpr (sizeof(To) == 1) {
          if (g.y_stride == 3) interleave3(tile[0], tile[1], tile[2], y, done = cols / 16 * 16);
        }
        for (int64_t c = done; c < cols; ++c) {
          QUOIN_UNROLL
          for (int64_t r = 0; r < 3; ++r) y[c * g.y_stride + r] = tile[r][c];
        }
      } else {
        for (int64_t c = 0; c < cols; ++c)
          for (int64_t r = 0; r < rows; ++r) y[c * g.y_stride + r] = tile[r][c];
      }
    }
  }
}

template <class T>
void quantize_transposed(const QuantizeF32& g) {
  const Quantizer<T> quantizer(1.0f / g.scale, g.zero_point, g.low, g.high);
  transpose_tiles<uint8_t>(g, [&](const float* x, uint8_t* y, int64_t n) { quantizer.row(x, y, n); });
}

template <class T>
void dequantize_transposed(const DequantizeU8& g) {
  transpose_tiles<float>(g, [&](const uint8_t* x, float* y, int64_t n) { dequantize_row<T>(g, x, y, n); });
}

QUOIN_INLINE void flip_row(const uint8_t* x, uint8_t* y, int64_t count, uint8_t flip) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<uint8_t>(x[i] ^ flip);
}

template <class T>
void copy_u8(const CopyU8& g) {
  for (int64_t r = 0; r < g.rows; ++r)
    flip_row(g.x + r * g.x_stride, g.y + r * g.y_stride, g.cols, static_cast<uint8_t>(g.zero_point));
}

template <class T>
void transpose_u8(const CopyU8& g) {
  const uint8_t flip = static_cast<uint8_t>(g.zero_point);
  transpose_tiles<uint8_t>(g, [&](const uint8_t* x, uint8_t* y, int64_t n) { flip_row(x, y, n, flip); });
}

template <class T>
void transpose_f32(const CopyF32& g) {
  transpose_tiles<float>(
      g, [&](const float* x, float* y, int64_t n) { std::memcpy(y, x, static_cast<size_t>(n) * sizeof(float)); });
}

// -- dynamic quantization

// Dynamic::token, see RowParams.
template <class T>
QUOIN_INLINE void quantize_row_wide(const RowParams& params, const float* x, uint8_t* y, int64_t count) {
  const double inverse = 1.0 / static_cast<double>(params.scale), zero = static_cast<double>(params.zero_point);
  const typename T::I shift = T::set1_int(128);
  each_vector<T>(count, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    T::store_u8_n(y + i, T::add_int(T::quantize_wide(T::load_n(x + i, n), inverse, zero), shift), n);
  });
}

template <class T>
void quantize_rows(const QuantizeRows& g) {
  for (int64_t r = 0; r < g.rows; ++r) {
    const float* x = g.x + r * g.x_stride;
    typename T::F low = T::set1(0), high = T::set1(0);  // the range always covers 0
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F v = T::load_n(x + i, n);
      low = T::min(low, v);
      high = T::max(high, v);
    });
    const RowParams params = g.choose(g, T::min_of(low), T::max_of(high));
    g.scale[r] = params.scale;
    g.zero_point[r] = params.zero_point + 128;
    uint8_t* y = g.y + r * g.y_stride;
    if (params.before_rounding)
      quantize_row_wide<T>(params, x, y, g.cols);
    else
      Quantizer<T>(1.0f / params.scale, params.zero_point + 128, 0, 255).row(x, y, g.cols);
  }
}

}  // namespace
}  // namespace quoin::cpu
