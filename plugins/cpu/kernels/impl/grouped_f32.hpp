// Float activations times grouped low-bit weights: single tokens straight from the codes, more of them through float
// panels of a few blocks.
#pragma once

#include "gemm.hpp"
#include "grouped.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kGroupedVectorRows = 3;  // up to here reading codes again for every row beats expanding them

// Calls op(k, codes as float) for the lanes of vector `part` and every k < count of one group, k ascending within a
// byte field. Codes are centered on 0; zero points stay in.
template <class T, int Bits, class Op>
QUOIN_INLINE void each_code(const uint8_t* codes, int part, int64_t count, const Op& op) {
  constexpr int kWord = 32 / Bits;
  const typename T::I signs = T::set1_int(Bits == 8 ? -0x7F7F7F80 : Bits == 4 ? -0x77777778 : -0x55555556);
  codes += part * T::kLanes * kUnit;
  for (int64_t first = 0; first < count; first += kWord, codes += 64) {
    const typename T::I word = T::xor_int(T::load_bytes(codes), signs);
    const int64_t rest = count - first;
    const auto code = [&](int i) QUOIN_LAMBDA_INLINE {
      const int shift = 8 * (i % 4) + Bits * (i / 4);
      op(first + i, T::to_float(T::shift_right(T::shift_left(word, 32 - Bits - shift), 32 - Bits)));
    };
    if (rest >= kWord) {
      QUOIN_UNROLL
      for (int i = 0; i < kWord; ++i) code(i);
    } else {
      QUOIN_UNROLL
      for (int i = 0; i < kWord; ++i)
        if (i < rest) code(i);
    }
  }
}

template <class T>
QUOIN_INLINE typename T::F float_zero(const GroupedLayout& l, const uint8_t* head, int part) {
  return l.spec.zeros ? T::to_float(Head<T>::zero(l, head, part, 0)) : T::set1(0);
}

// sum of x[i] * (code - zero point) over one group, for the lanes of vector `part`.
template <class T, int Bits, bool Zeros>
QUOIN_INLINE typename T::F group_dot_f32(const GroupedLayout& l, const GroupCursor& at, int part, int64_t count,
                                         const float* x) {
  using F = typename T::F;
  const F zero = float_zero<T>(l, at.head(), part);
  F sum[2] = {T::set1(0), T::set1(0)};
  each_code<T, Bits>(at.codes(), part, count, [&](int64_t i, F w) QUOIN_LAMBDA_INLINE {
    sum[i % 2] = T::fma(T::set1(x[i]), Zeros ? w - zero : w, sum[i % 2]);
  });
  return sum[0] + sum[1];
}

// One row times one block.
template <class T, int Bits, bool Zeros>
void grouped_dot_f32(const GemmGroupedF32& g, int64_t row, int64_t block) {
  using F = typename T::F;
  constexpr int kParts = kGroupedBlock / T::kLanes;
  const GroupedLayout& l = *g.layout;
  const float* x = g.x + row * g.x_stride;
  F acc[kParts];
  QUOIN_UNROLL
  for (int part = 0; part < kParts; ++part) acc[part] = T::set1(0);
  GroupCursor at(l, g.weights + block * l.block_bytes);
  for (int64_t k = 0; k < l.spec.k; k += l.spec.group, at.next()) {
    if (at.at_section()) prefetch(at.head() + kGroupedAhead, l.heads_bytes);
    prefetch(at.codes() + kGroupedAhead, l.group_bytes);
    const int64_t count = smaller(l.spec.group, l.spec.k - k);
    QUOIN_UNROLL
    for (int part = 0; part < kParts; ++part)
      acc[part] = T::fma(group_dot_f32<T, Bits, Zeros>(l, at, part, count, x + k), Head<T>::scale(l, at.head(), part),
                         acc[part]);
  }
  const F low = T::set1(g.low), high = T::set1(g.high);
  QUOIN_UNROLL
  for (int part = 0; part < kParts; ++part) {
    const int64_t column = block * kGroupedBlock + part * T::kLanes, n = smaller(l.spec.n - column, T::kLanes);
    if (n <= 0) continue;
    const F y = g.bias ? acc[part] + T::load_n(g.bias + column, n) : acc[part];
    T::store_n(g.y + row * g.y_stride + column, T::min(high, T::max(low, y)), n);
  }
}

// panel[k][16] of one block: (code - zero point) * scale.
template <class T, int Bits>
void expand_block(const GroupedLayout& l, const uint8_t* block, float* panel) {
  using F = typename T::F;
  GroupCursor at(l, block);
  for (int64_t k = 0; k < l.spec.k; k += l.spec.group, at.next())
    for (int part = 0; part < kGroupedBlock / T::kLanes; ++part) {
      const F zero = float_zero<T>(l, at.head(), part), scale = Head<T>::scale(l, at.head(), part);
      float* to = panel + k * kGroupedBlock + part * T::kLanes;
      each_code<T, Bits>(at.codes(), part, smaller(l.spec.group, l.spec.k - k),
                         [&](int64_t i, F w)
                             QUOIN_LAMBDA_INLINE { T::store(to + i * kGroupedBlock, (w - zero) * scale); });
    }
}

template <class T, int Bits>
void gemm_grouped_f32_bits(const GemmGroupedF32& g) {
  const GroupedLayout& l = *g.layout;
  if (g.rows <= kGroupedVectorRows) {
    for (int64_t block = g.block_begin; block < g.block_end; ++block)
      for (int64_t row = 0; row < g.rows; ++row) {
        if (l.spec.zeros) {
          grouped_dot_f32<T, Bits, true>(g, row, block);
        } else {
          grouped_dot_f32<T, Bits, false>(g, row, block);
        }
      }
    return;
  }
  for (int64_t block = g.block_begin; block < g.block_end; block += kGroupedPanelBlocks) {
    const int64_t blocks = smaller(kGroupedPanelBlocks, g.block_end - block), column = block * kGroupedBlock;
    for (int64_t b = 0; b < blocks; ++b)
      expand_block<T, Bits>(l, g.weights + (block + b) * l.block_bytes, g.panel + b * kGroupedBlock * l.spec.k);
    GemmF32 part;
    part.a = g.x;
    part.a_stride = g.x_stride;
    part.b = g.panel;
    part.b_block_stride = kGroupedBlock * l.spec.k;
    part.bias = g.bias ? g.bias + column : nullptr;
    part.y = g.y + column;
    part.y_stride = g.y_stride;
    part.rows = g.rows;
    part.n = smaller(blocks * kGroupedBlock, l.spec.n - column);
    part.k = l.spec.k;
    part.low = g.low;
    part.high = g.high;
    gemm_f32<T>(part);
  }
}

template <class T>
void gemm_grouped_f32(const GemmGroupedF32& g) {
  if (g.layout->spec.bits == 2) gemm_grouped_f32_bits<T, 2>(g);
  if (g.layout->spec.bits == 4) gemm_grouped_f32_bits<T, 4>(g);
  if (g.layout->spec.bits == 8) gemm_grouped_f32_bits<T, 8>(g);
}

}  // namespace
}  // namespace quoin::cpu
