// Tokens into codes, and rows of an embedding out of codes.
#pragma once

#include "../grouped.hpp"
#include "../isa/common.hpp"
#include "../isa/half.hpp"

namespace quoin::cpu {
namespace {

// How the codes of one row are made.
struct TokenQuantizer {
  bool wide = false;
  double inverse = 1, zero = 0;
  float inverse_f = 1, zero_f = 0;

  QUOIN_INLINE void set(const RowParams& p) {
    wide = p.before_rounding;
    inverse = 1.0 / static_cast<double>(p.scale);
    zero = p.zero_point;
    inverse_f = 1.0f / p.scale;
    zero_f = static_cast<float>(p.zero_point);
  }
  // Codes + 128 of a vector.
  template <class T>
  QUOIN_INLINE typename T::I make(typename T::F x) const {
    const typename T::I shift = T::set1_int(128);
    if (wide) return T::add_int(T::quantize_wide(x, inverse, zero), shift);
    const typename T::F q = T::round(x * T::set1(inverse_f)) + T::set1(zero_f);
    return T::add_int(T::round_to_int(T::min(T::max(q, T::set1(-128)), T::set1(127))), shift);
  }
};

// Codes of one chunk, `count` of them from x, the others 0; returns their sum.
template <class T>
QUOIN_INLINE int32_t quantize_chunk(const TokenQuantizer& quantizer, const float* x, int64_t count, int8_t* codes) {
  auto* to = reinterpret_cast<uint8_t*>(codes);
  if (count < kGroupedChunk) std::memset(to, 128, kGroupedChunk);
  each_vector<T>(count, [&](int64_t i, int64_t n)
                            QUOIN_LAMBDA_INLINE { T::store_u8_n(to + i, quantizer.make<T>(T::load_n(x + i, n)), n); });
  return T::flip_codes(codes);
}

template <class T>
QUOIN_INLINE RowParams token_params(const QuantizeTokens& g, const float* x) {
  typename T::F low = T::set1(0), high = T::set1(0);  // the range always covers 0
  each_vector<T>(g.k, [&](int64_t i, int64_t n) QUOIN_LAMBDA_INLINE {
    const typename T::F v = T::load_n(x + i, n);
    low = T::min(v, low);
    high = T::max(v, high);
  });
  return g.choose(g.scheme, g.eps, T::min_of(low), T::max_of(high));
}

// Rows [row, row + Rows) side by side: their codes of a chunk are neighbours in memory.
template <class T, int Rows>
QUOIN_INLINE void quantize_panel(const QuantizeTokens& g, int64_t row) {
  TokenQuantizer quantizers[Rows];
  for (int r = 0; r < Rows; ++r) {
    const RowParams params = token_params<T>(g, g.x + (row + r) * g.x_stride);
    g.scale[row + r] = params.scale;
    g.zero_point[row + r] = params.zero_point;
    quantizers[r].set(params);
  }
  int8_t* codes = g.codes + row * kGroupedChunk;
  int32_t* sums = g.sums + row;
  for (int64_t begin = 0; begin < g.k; begin += g.group, sums += g.rows) {
    const int64_t end = smaller(g.k, begin + g.group), whole = begin + g.group;
    int32_t total[Rows] = {};
    for (int64_t k = begin; k < whole; k += kGroupedChunk, codes += g.rows * kGroupedChunk) {
      const int64_t count = larger(0, smaller(kGroupedChunk, end - k));
      for (int r = 0; r < Rows; ++r)
        total[r] +=
            quantize_chunk<T>(quantizers[r], g.x + (row + r) * g.x_stride + k, count, codes + r * kGroupedChunk);
    }
    for (int r = 0; r < Rows; ++r) sums[r] = g.sum_factor * total[r];
  }
}

template <class T>
void quantize_tokens(const QuantizeTokens& g) {
  int64_t row = g.row_begin;
  for (; row + 8 <= g.row_end; row += 8) quantize_panel<T, 8>(g, row);
  for (; row < g.row_end; ++row) quantize_panel<T, 1>(g, row);
}

inline float scale_at(const void* scales, ScaleType type, int64_t i) {
  if (type == ScaleType::f32) return static_cast<const float*>(scales)[i];
  const uint16_t word = static_cast<const uint16_t*>(scales)[i];
  return type == ScaleType::f16 ? from_half(word) : __builtin_bit_cast(float, uint32_t{word} << 16);
}

template <int Bits>
void embed_row(const EmbedGrouped& g, int64_t row, float* y) {
  constexpr int64_t kCodes = 8 / Bits;
  const GroupedSpec& s = g.spec;
  const uint8_t* codes = g.codes + row * ((s.k + kCodes - 1) / kCodes);
  int64_t at = row * ((s.k + s.group - 1) / s.group);
  for (int64_t begin = 0; begin < s.k; begin += s.group, ++at) {
    const float scale = scale_at(g.scales, s.scale, at);
    const int32_t zero = g.zeros ? g.zeros[at] : 0;
    const int64_t end = smaller(s.k, begin + s.group);
    for (int64_t k = begin; k < end; ++k) {
      const int32_t byte = codes[k / kCodes], shift = static_cast<int32_t>(k % kCodes) * Bits;
      const int32_t code = static_cast<int8_t>(static_cast<uint8_t>(byte << (8 - Bits - shift))) >> (8 - Bits);
      y[k] = static_cast<float>(code - zero) * scale;
    }
  }
}

inline void embed_grouped(const EmbedGrouped& g) {
  for (int64_t i = 0; i < g.count; ++i) {
    float* y = g.y + i * g.y_stride;
    if (g.spec.bits == 2) embed_row<2>(g, g.indices[i], y);
    if (g.spec.bits == 4) embed_row<4>(g, g.indices[i], y);
    if (g.spec.bits == 8) embed_row<8>(g, g.indices[i], y);
  }
}

}  // namespace
}  // namespace quoin::cpu
