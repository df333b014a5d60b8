// Elementwise, row-wise and packing work on f32.
#pragma once

#include "../isa/common.hpp"
#include "math.hpp"

namespace quoin::cpu {
namespace {

template <class T, class Op>
QUOIN_INLINE void binary_f32(const BinaryF32& g, const Op& op) {
  const typename T::F low = T::set1(g.low), high = T::set1(g.high);
  for (int64_t r = 0; r < g.rows; ++r) {
    const float *a = g.a + (g.a_scalar ? 0 : r * g.a_stride), *b = g.b + (g.b_scalar ? 0 : r * g.b_stride);
    float* y = g.y + r * g.y_stride;
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F left = g.a_scalar ? T::set1(*a) : T::load_n(a + i, n);
      const typename T::F right = g.b_scalar ? T::set1(*b) : T::load_n(b + i, n);
      T::store_n(y + i, T::min(high, T::max(low, op(left, right))), n);
    });
  }
}

template <class T>
void add_f32(const BinaryF32& g) {
  binary_f32<T>(g, [](typename T::F a, typename T::F b) QUOIN_LAMBDA_INLINE { return a + b; });
}
template <class T>
void sub_f32(const BinaryF32& g) {
  binary_f32<T>(g, [](typename T::F a, typename T::F b) QUOIN_LAMBDA_INLINE { return a - b; });
}
template <class T>
void mul_f32(const BinaryF32& g) {
  binary_f32<T>(g, [](typename T::F a, typename T::F b) QUOIN_LAMBDA_INLINE { return a * b; });
}
template <class T>
void div_f32(const BinaryF32& g) {
  binary_f32<T>(g, [](typename T::F a, typename T::F b) QUOIN_LAMBDA_INLINE { return a / b; });
}

template <class T, class Op>
QUOIN_INLINE void unary_f32(const float* x, float* y, int64_t count, const Op& op) {
  each_vector<T>(count,
                 [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE { T::store_n(y + i, op(T::load_n(x + i, n)), n); });
}

template <class T>
void clamp_f32(const ClampF32& g) {
  const typename T::F low = T::set1(g.low), high = T::set1(g.high);
  unary_f32<T>(g.x, g.y, g.count, [&](typename T::F v) QUOIN_LAMBDA_INLINE { return T::min(high, T::max(low, v)); });
}
template <class T>
void gelu_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE {
    const typename T::F half = T::set1(0.5f) * v;
    return half + half * erf<T>(v * T::set1(0.70710678118654752f));
  });
}
template <class T>
void gelu_tanh_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE {
    const typename T::F inner = v + T::set1(0.044715f) * v * v * v;
    const typename T::F half = T::set1(0.5f) * v;
    return half + half * tanh<T>(inner * T::set1(0.79788456080286536f));
  });
}
template <class T>
void tanh_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE { return tanh<T>(v); });
}
template <class T>
void sigmoid_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE { return sigmoid<T>(v); });
}
template <class T>
void silu_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE { return v * sigmoid<T>(v); });
}
template <class T>
void hardswish_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE {
    return v * T::min(T::set1(6), T::max(T::set1(0), v + T::set1(3))) / T::set1(6);
  });
}
template <class T>
void exp_f32(const float* x, float* y, int64_t count) {
  unary_f32<T>(x, y, count, [](typename T::F v) QUOIN_LAMBDA_INLINE { return exp<T>(v); });
}

template <class T>
void softmax_f32(const SoftmaxF32& g) {
  for (int64_t r = 0; r < g.rows; ++r) {
    const float* x = g.x + r * g.x_stride;
    float* y = g.y + r * g.y_stride;
    typename T::F best = T::set1(-__builtin_inff());
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      best = T::max(best, T::fill_tail(T::load_n(x + i, n), n, -__builtin_inff()));
    });
    const typename T::F peak = T::set1(T::max_of(best)), scale = T::set1(g.scale);
    typename T::F total = T::set1(0);
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F e = exp<T>((T::load_n(x + i, n) - peak) * scale);
      total = total + T::fill_tail(e, n, 0);
      T::store_n(y + i, e, n);
    });
    const typename T::F factor = T::set1(1.0f / T::sum(total));
    each_vector<T>(
        g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE { T::store_n(y + i, T::load_n(y + i, n) * factor, n); });
  }
}

template <class T>
void layer_norm_f32(const LayerNormF32& g) {
  const float inverse = 1.0f / static_cast<float>(g.cols);
  for (int64_t r = 0; r < g.rows; ++r) {
    const float* x = g.x + r * g.x_stride;
    float* y = g.y + r * g.y_stride;
    typename T::F total = T::set1(0), square = T::set1(0);
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE { total = total + T::load_n(x + i, n); });
    const typename T::F mean = T::set1(T::sum(total) * inverse);
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F d = T::fill_tail(T::load_n(x + i, n) - mean, n, 0);
      square = T::fma(d, d, square);
    });
    const float deviation = __builtin_sqrtf(T::sum(square) * inverse + g.eps);
    const typename T::F factor = T::set1(1.0f / deviation), one = T::set1(1), zero = T::set1(0);
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F gamma = g.gamma ? T::load_n(g.gamma + i, n) : one;
      const typename T::F beta = g.beta ? T::load_n(g.beta + i, n) : zero;
      T::store_n(y + i, T::fma((T::load_n(x + i, n) - mean) * factor, gamma, beta), n);
    });
  }
}

template <class T>
void pack_rows_f32(const PackRowsF32& g) {
  constexpr int64_t kColumns = 16, kDepth = 64;  // a strip of 16 rows, 64 deep, is read and written within L1
  for (int64_t n0 = 0; n0 < g.n; n0 += kColumns) {
    const int64_t columns = smaller(kColumns, g.n - n0);
    float* block = g.y + n0 * g.k;
    for (int64_t k0 = 0; k0 < g.k; k0 += kDepth) {
      const int64_t end = smaller(g.k, k0 + kDepth);
      for (int64_t j = 0; j < kColumns; ++j) {
        const float* b = g.b + (n0 + j) * g.b_stride;
        for (int64_t k = k0; k < end; ++k) block[k * kColumns + j] = j < columns ? b[k] : 0.0f;
      }
    }
  }
}

}  // namespace
}  // namespace quoin::cpu
