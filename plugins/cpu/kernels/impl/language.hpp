// Norms, rotary positions and attention of language models.
#pragma once

#include "../language.hpp"
#include "elementwise_f32.hpp"
#include "gemm.hpp"

namespace quoin::cpu {
namespace {

template <class T>
void rms_norm_f32(const RmsNormF32& g) {
  const float inverse = 1.0f / static_cast<float>(g.cols);
  for (int64_t r = 0; r < g.rows; ++r) {
    const float* x = g.x + r * g.x_stride;
    float* y = g.y + r * g.y_stride;
    typename T::F square = T::set1(0);
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F v = T::load_n(x + i, n);
      square = T::fma(v, v, square);
    });
    const typename T::F factor = T::set1(1.0f / __builtin_sqrtf(T::sum(square) * inverse + g.eps));
    each_vector<T>(g.cols, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F gamma = g.gamma ? T::load_n(g.gamma + i, n) : T::set1(1);
      T::store_n(y + i, T::load_n(x + i, n) * factor * gamma, n);
    });
  }
}

template <class T>
void rope_f32(const RopeF32& g) {
  for (int64_t h = 0; h < g.heads; ++h) {
    const float* x = g.x + h * g.length;
    float* y = g.y + h * g.length;
    if (g.interleaved) {
      for (int64_t i = 0; i < g.pairs; ++i) {
        const float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * g.cosines[i] - b * g.sines[i];
        y[2 * i + 1] = b * g.cosines[i] + a * g.sines[i];
      }
    } else {
      each_vector<T>(g.pairs, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
        const typename T::F a = T::load_n(x + i, n), b = T::load_n(x + g.pairs + i, n);
        const typename T::F c = T::load_n(g.cosines + i, n), s = T::load_n(g.sines + i, n);
        T::store_n(y + i, a * c - b * s, n);
        T::store_n(y + g.pairs + i, b * c + a * s, n);
      });
    }
    for (int64_t i = 2 * g.pairs; i < g.length; ++i) y[i] = x[i];
  }
}

template <class T>
void silu_mul_f32(const float* a, const float* b, float* y, int64_t count) {
  each_vector<T>(count, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    const typename T::F v = T::load_n(a + i, n);
    T::store_n(y + i, v * sigmoid<T>(v) * T::load_n(b + i, n), n);
  });
}

// -- attention

constexpr int64_t kPackedRows = 12;  // from so many rows on, a block of keys is packed and multiplied as a matrix

struct FloatRows {
  const float* data;
  int64_t stride, length;
};

// Rows [first, first + count) as floats; codes are dequantized into `buffer`.
template <class T>
QUOIN_INLINE FloatRows float_rows(const CacheRows<float>& rows, int64_t first, int64_t, float*) {
  return {rows.data + first * rows.stride, rows.stride, rows.length};
}
template <class T>
QUOIN_INLINE FloatRows float_rows(const CacheRows<int8_t>& rows, int64_t first, int64_t count, float* buffer) {
  using F = typename T::F;
  const F half = T::set1(128), whole = T::set1(256);
  for (int64_t r = 0; r < count; ++r) {
    const auto* codes = reinterpret_cast<const uint8_t*>(rows.data + (first + r) * rows.stride);
    const float* affine = rows.affine + (first + r) * rows.affine_stride;
    const F scale = T::set1(affine[0]), zero = T::set1(affine[1]);
    float* y = buffer + r * rows.length;
    each_vector<T>(rows.length, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const F byte = T::to_float(T::load_u8_n(codes + i, n));
      T::store_n(y + i, (T::select_less(byte, half, byte, byte - whole) - zero) * scale, n);
    });
  }
  return {buffer, rows.length, rows.length};
}

// scores[j] = q . k[j]; four keys at a time hide the latency of the sums.
template <class T>
void score_row(const float* q, const FloatRows& k, int64_t count, float* scores) {
  constexpr int64_t kTogether = 4;
  for (int64_t j = 0; j < count; j += kTogether) {
    const float* row[kTogether];
    typename T::F sums[kTogether];
    QUOIN_UNROLL
    for (int64_t t = 0; t < kTogether; ++t) {
      row[t] = k.data + smaller(j + t, count - 1) * k.stride;
      sums[t] = T::set1(0);
    }
    each_vector<T>(k.length, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
      const typename T::F x = T::load_n(q + i, n);
      QUOIN_UNROLL
      for (int64_t t = 0; t < kTogether; ++t) sums[t] = T::fma(x, T::load_n(row[t] + i, n), sums[t]);
    });
    for (int64_t t = 0; t < smaller(kTogether, count - j); ++t) scores[j + t] = T::sum(sums[t]);
  }
}

// y[row][d] = y[row][d] * fade[row] + sum over j of p[row][j] * v[j][d] for Rows rows and one or two vectors of d.
template <class T, int Rows, bool Whole>
QUOIN_INLINE void add_values(const float* p, const float* fade, const FloatRows& v, int64_t count, int64_t d,
                             float* y) {
  constexpr int kVectors = Whole ? 2 : 1;
  const int64_t n = Whole ? T::kLanes : smaller(v.length - d, T::kLanes);
  typename T::F sums[Rows][kVectors];
  QUOIN_UNROLL
  for (int r = 0; r < Rows; ++r) {
    QUOIN_UNROLL
    for (int b = 0; b < kVectors; ++b)
      sums[r][b] = T::load_n(y + r * v.length + d + b * T::kLanes, n) * T::set1(fade[r]);
  }
  for (int64_t j = 0; j < count; ++j) {
    typename T::F values[kVectors];
    QUOIN_UNROLL
    for (int b = 0; b < kVectors; ++b) values[b] = T::load_n(v.data + j * v.stride + d + b * T::kLanes, n);
    QUOIN_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const typename T::F weight = T::set1(p[r * kAttentionKeys + j]);
      QUOIN_UNROLL
      for (int b = 0; b < kVectors; ++b) sums[r][b] = T::fma(weight, values[b], sums[r][b]);
    }
  }
  QUOIN_UNROLL
  for (int r = 0; r < Rows; ++r) {
    QUOIN_UNROLL
    for (int b = 0; b < kVectors; ++b) T::store_n(y + r * v.length + d + b * T::kLanes, sums[r][b], n);
  }
}

template <class T, int Rows>
void add_values(const float* p, const float* fade, const FloatRows& v, int64_t count, float* y) {
  int64_t d = 0;
  for (; d + 2 * T::kLanes <= v.length; d += 2 * T::kLanes) add_values<T, Rows, true>(p, fade, v, count, d, y);
  for (; d < v.length; d += T::kLanes) add_values<T, Rows, false>(p, fade, v, count, d, y);
}

// What a run of attention keeps for each row: the query, its scores in the block, the sum so far, and of the softmax
// the largest score and the sum of exponentials.
struct AttentionState {
  float *query, *scores, *sums, *largest, *total, *key_block, *value_block, *packed;
  int64_t rows;
  AttentionState(float* scratch, int64_t count, int64_t length, int64_t value_length) : rows(count) {
    query = scratch;
    scores = query + rows * length;
    sums = scores + rows * kAttentionKeys;
    largest = sums + rows * value_length;
    total = largest + rows;
    const int64_t state = rows * (length + kAttentionKeys + value_length + 2);
    packed = scratch + (state + 15) / 16 * 16;
    key_block = packed + kAttentionKeys * length;
    value_block = key_block + kAttentionKeys * length;
  }
};

// exp(score - largest) of the scores [begin, end) of a block, 0 for its others. The factor for what was summed before.
template <class T>
float soften(float* scores, int64_t count, int64_t begin, int64_t end, float& largest, float& total) {
  for (int64_t j = 0; j < smaller(begin, count); ++j) scores[j] = 0;
  for (int64_t j = larger(end, 0); j < count; ++j) scores[j] = 0;
  if (begin >= end) return 1.0f;
  typename T::F best = T::set1(largest);
  each_vector<T>(end - begin, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    best = T::max(best, T::fill_tail(T::load_n(scores + begin + i, n), n, -__builtin_inff()));
  });
  const float peak = T::max_of(best);
  typename T::F sum = T::set1(0);
  each_vector<T>(end - begin, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    const typename T::F e = exp<T>(T::load_n(scores + begin + i, n) - T::set1(peak));
    sum = sum + T::fill_tail(e, n, 0);
    T::store_n(scores + begin + i, e, n);
  });
  float lane[T::kLanes];
  T::store(lane, exp<T>(T::set1(largest - peak)));
  const float fade = largest == peak ? 1.0f : lane[0];
  largest = peak;
  total = total * fade + T::sum(sum);
  return fade;
}

template <class T>
void score_block(const AttentionState& s, const FloatRows& keys, int64_t count) {
  if (s.rows < kPackedRows) {
    for (int64_t r = 0; r < s.rows; ++r)
      score_row<T>(s.query + r * keys.length, keys, count, s.scores + r * kAttentionKeys);
    return;
  }
  pack_rows_f32<T>({keys.data, keys.stride, count, keys.length, s.packed});
  GemmF32 product;
  product.a = s.query;
  product.a_stride = product.k = keys.length;
  product.b = s.packed;
  product.b_block_stride = 16 * keys.length;
  product.y = s.scores;
  product.y_stride = kAttentionKeys;
  product.rows = s.rows;
  product.n = count;
  gemm_f32<T>(product);
}

// First row that token t sees.
template <class C>
QUOIN_INLINE int64_t first_row(const Attention<C>& g, int64_t t) {
  return g.window == 0 ? 0 : larger(g.positions[t] - g.window + 1, 0);
}

template <class T, class C>
void attend_block(const Attention<C>& g, const AttentionState& s, int64_t first, int64_t count) {
  score_block<T>(s, float_rows<T>(g.keys, first, count, s.key_block), count);
  const FloatRows values = float_rows<T>(g.values, first, count, s.value_block);
  constexpr int kTogether = 4;
  for (int64_t row = 0; row < s.rows; row += kTogether) {
    const int64_t together = smaller(kTogether, s.rows - row);
    float fade[kTogether];
    for (int64_t r = row; r < row + together; ++r) {
      const int64_t t = r / g.heads;
      fade[r - row] = soften<T>(s.scores + r * kAttentionKeys, count, larger(first_row(g, t) - first, 0),
                                smaller(g.positions[t] + 1 - first, count), s.largest[r], s.total[r]);
    }
    const float* p = s.scores + row * kAttentionKeys;
    float* sums = s.sums + row * values.length;
    if (together == kTogether) {
      add_values<T, kTogether>(p, fade, values, count, sums);
    } else {
      for (int64_t r = 0; r < together; ++r)
        add_values<T, 1>(p + r * kAttentionKeys, fade + r, values, count, sums + r * values.length);
    }
  }
}

template <class T, class C>
void attention(const Attention<C>& g) {
  const int64_t length = g.keys.length, value_length = g.values.length;
  const AttentionState s(g.scratch, g.tokens * g.heads, length, value_length);
  int64_t first = g.positions[0], last = 0;
  for (int64_t t = 0; t < g.tokens; ++t) {
    first = smaller(first, first_row(g, t));
    last = larger(last, g.positions[t]);
    for (int64_t i = 0; i < g.heads * length; ++i)
      s.query[t * g.heads * length + i] = g.query[t * g.query_stride + i] * g.scale;
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    s.largest[r] = -__builtin_inff();
    s.total[r] = 0;
  }
  for (int64_t i = 0; i < s.rows * value_length; ++i) s.sums[i] = 0;
  for (int64_t block = first; block <= last; block += kAttentionKeys)
    attend_block<T>(g, s, block, smaller(kAttentionKeys, last + 1 - block));
  for (int64_t r = 0; r < s.rows; ++r) {
    const float inverse = 1.0f / s.total[r];
    float* y = g.y + r / g.heads * g.y_stride + r % g.heads * value_length;
    for (int64_t d = 0; d < value_length; ++d) y[d] = s.sums[r * value_length + d] * inverse;
  }
}

}  // namespace
}  // namespace quoin::cpu
