// Kernels that slide a window without weights: pooling, means.
#pragma once

#include "../isa/common.hpp"
#include "taps.hpp"

namespace quoin::cpu {
namespace {

struct PoolTaps {
  TapRange rows, columns;
  int64_t top, left;
  QUOIN_INLINE PoolTaps(const Window& w, int64_t row, int64_t column)
      : top(row * w.stride_h - w.pad_top), left(column * w.stride_w - w.pad_left) {
    rows = taps_inside(top, w.dilation_h, w.kernel_h, w.in_h);
    columns = taps_inside(left, w.dilation_w, w.kernel_w, w.in_w);
  }
  QUOIN_INLINE int64_t count() const { return larger(rows.to - rows.from, 0) * larger(columns.to - columns.from, 0); }
};

// Folds `op` over the taps of one pixel for channels [c, c + n).
template <class Vector, class E, class Load, class Op>
QUOIN_INLINE Vector fold_taps(const PoolTaps& taps, const Window& w, const E* x, int64_t x_stride, Vector start,
                              const Load& load, const Op& op) {
  Vector acc = start;
  for (int64_t kh = taps.rows.from; kh < taps.rows.to; ++kh)
    for (int64_t kw = taps.columns.from; kw < taps.columns.to; ++kw) {
      const int64_t pixel = (taps.top + kh * w.dilation_h) * w.in_w + taps.left + kw * w.dilation_w;
      acc = op(acc, load(x + pixel * x_stride));
    }
  return acc;
}

template <class T>
void avg_pool_u8(const PoolU8& g) {
  const Requantizer<T> requantize(g.zero_point, g.low, g.high);
  for (int64_t row = g.row_begin; row < g.row_end; ++row)
    for (int64_t column = 0; column < g.window.out_w; ++column) {
      const PoolTaps taps(g.window, row, column);
      const int64_t count = taps.count(), divisor = g.divisor > 0 ? g.divisor : larger(count, 1);
      const typename T::F multiplier = T::set1(g.ratio / static_cast<float>(divisor));
      const typename T::I start = T::set1_int(static_cast<int32_t>(-count * g.zero_x));
      uint8_t* y = g.y + (row * g.window.out_w + column) * g.y_stride;
      each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
        const typename T::I sum = fold_taps(
            taps, g.window, g.x + c, g.x_stride, start, [&](const uint8_t* p) { return T::load_u8_n(p, n); },
            [](typename T::I a, typename T::I b) { return T::add_int(a, b); });
        T::store_u8_n(y + c, requantize(sum, multiplier), n);
      });
    }
}

template <class T>
void max_pool_u8(const PoolU8& g) {
  for (int64_t row = g.row_begin; row < g.row_end; ++row)
    for (int64_t column = 0; column < g.window.out_w; ++column) {
      const PoolTaps taps(g.window, row, column);
      uint8_t* y = g.y + (row * g.window.out_w + column) * g.y_stride;
      each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
        const typename T::I best = fold_taps(
            taps, g.window, g.x + c, g.x_stride, T::set1_int(0), [&](const uint8_t* p) { return T::load_u8_n(p, n); },
            [](typename T::I a, typename T::I b) { return T::max_int(a, b); });
        T::store_u8_n(y + c, best, n);
      });
    }
}

template <class T>
void avg_pool_f32(const PoolF32& g) {
  for (int64_t row = g.row_begin; row < g.row_end; ++row)
    for (int64_t column = 0; column < g.window.out_w; ++column) {
      const PoolTaps taps(g.window, row, column);
      const int64_t divisor = g.divisor > 0 ? g.divisor : larger(taps.count(), 1);
      const typename T::F factor = T::set1(1.0f / static_cast<float>(divisor));
      float* y = g.y + (row * g.window.out_w + column) * g.y_stride;
      each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
        const typename T::F sum = fold_taps(
            taps, g.window, g.x + c, g.x_stride, T::set1(0), [&](const float* p) { return T::load_n(p, n); },
            [](typename T::F a, typename T::F b) { return a + b; });
        T::store_n(y + c, sum * factor, n);
      });
    }
}

template <class T>
void max_pool_f32(const PoolF32& g) {
  for (int64_t row = g.row_begin; row < g.row_end; ++row)
    for (int64_t column = 0; column < g.window.out_w; ++column) {
      const PoolTaps taps(g.window, row, column);
      float* y = g.y + (row * g.window.out_w + column) * g.y_stride;
      each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
        const typename T::F best = fold_taps(
            taps, g.window, g.x + c, g.x_stride, T::set1(-__builtin_inff()),
            [&](const float* p) { return T::load_n(p, n); },
            [](typename T::F a, typename T::F b) { return T::max(a, b); });
        T::store_n(y + c, best, n);
      });
    }
}

template <class T>
void mean_u8(const MeanU8& g) {
  const Requantizer<T> requantize(g.zero_point, g.low, g.high);
  const typename T::F multiplier = T::set1(g.ratio / static_cast<float>(g.pixels));
  each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
    typename T::I sum = T::set1_int(static_cast<int32_t>(-g.pixels * g.zero_x));
    for (int64_t p = 0; p < g.pixels; ++p) sum = T::add_int(sum, T::load_u8_n(g.x + p * g.x_stride + c, n));
    T::store_u8_n(g.y + c, requantize(sum, multiplier), n);
  });
}

template <class T>
void mean_f32(const MeanF32& g) {
  const typename T::F factor = T::set1(1.0f / static_cast<float>(g.pixels));
  each_vector<T>(g.channels, [&](int64_t c, int64_t n) QUOIN_LAMBDA_INLINE {
    typename T::F sum = T::set1(0);
    for (int64_t p = 0; p < g.pixels; ++p) sum = sum + T::load_n(g.x + p * g.x_stride + c, n);
    T::store_n(g.y + c, sum * factor, n);
  });
}

}  // namespace
}  // namespace quoin::cpu
