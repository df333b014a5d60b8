// What every translation unit of a tier shares. An ISA trait T offers (all static, all inlined):
//   kLanes; F, I: vectors of kLanes float / int32; X, W: prepared operands of dot4
//   Half: a trait of half as many lanes where there is one, for what is too narrow for this one; else itself
//   kDotRows[b], kDotBlocks, kFmaRows[b], kFmaBlocks: rows of a register tile that is b blocks of 16 columns wide
//   load/load_n/store/store_n (n < kLanes touches n elements only), set1, fma, min, max, round_to_int, to_float, ...
//   (batch.hpp has those that xsimd provides; min and max yield the second operand where one is NaN)
//   load_every_second(p, piece): pieces of 8 bytes and more, at least four in a vector, every second of those from p on
//   kGroupedVectors, kGroupedTokens: vectors of outputs and tokens of a register tile of grouped.hpp
//   kDepthwiseVectors, kDepthwisePixels: vectors of channels and pixels of a register tile of depthwise_f32.hpp
//   pack: bytes of four vectors of results, interleaved as interleave4 leaves them; by_vector: one vector behind the
//   other; store_bytes, store_block<b>: all of them, or those of block b of 16 kByteDots: dot4's operands are plain
//   bytes; without, dot2, add_words and widen do its work for small codes dot4(acc, x, w): lane += sum of 4 products u8
//   * s8, exact; interleave4: bytes of 4 rows side by side per column
// Only internal linkage in here: code built with one tier's flags must never be picked by the linker for another tier.
#pragma once

#include <cstdint>
#include <cstring>

#include "../kernels.hpp"

#define QUOIN_INLINE __attribute__((always_inline)) inline
#define QUOIN_LAMBDA_INLINE __attribute__((always_inline))
// Register tiles must be unrolled completely, or their accumulators live in memory.
#if defined(QUOIN_KEEP_LOOPS)
#define QUOIN_UNROLL
#elif defined(__clang__)
#define QUOIN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QUOIN_UNROLL _Pragma("GCC unroll 32")
#endif

// The sum so far stays in a register: compilers otherwise delay sums and spill the products of a whole tile.
#if defined(__x86_64__)
#define QUOIN_PIN(vector) __asm__("" : "+v"(vector))
#endif

namespace quoin::cpu {
namespace {

QUOIN_INLINE constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
QUOIN_INLINE constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

QUOIN_INLINE int32_t load32(const uint8_t* p) {
  int32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Calls op(i, n) for [0, count) in steps of T::kLanes; n is the literal kLanes except for the tail.
template <class T, class Op>
QUOIN_INLINE void each_vector(int64_t count, const Op& op) {
  int64_t i = 0;
  for (; i + T::kLanes <= count; i += T::kLanes) op(i, static_cast<int64_t>(T::kLanes));
  if (i < count) op(i, count - i);
}

// numerics::requantize on a vector; a NaN product would become low, as there.
template <class T>
struct Requantizer {
  typename T::F low, high;
  typename T::I zero;
  QUOIN_INLINE Requantizer(int32_t zero_point, int32_t low_bound, int32_t high_bound)
      : low(T::set1(static_cast<float>(low_bound - zero_point))),
        high(T::set1(static_cast<float>(high_bound - zero_point))),
        zero(T::set1_int(zero_point)) {}
  QUOIN_INLINE typename T::I steps(typename T::F real) const {
    return T::add_int(T::round_to_int(T::min(T::max(real, low), high)), zero);
  }
  QUOIN_INLINE typename T::I operator()(typename T::I acc, typename T::F multiplier) const {
    return steps(T::to_float(acc) * multiplier);
  }
};

// Whether no product of an int32 and one of the multipliers leaves int32; of any layer whose result has more than a few
// steps. `count` of them, read up to the next multiple of kLanes.
template <class T>
QUOIN_INLINE bool products_fit(const float* multiplier, int64_t count) {
  typename T::F most = T::set1(0);
  for (int64_t i = 0; i < count; i += T::kLanes) most = T::max(T::load(multiplier + i), most);
  return T::max_of(most) < 1.0f;
}

// The same for four vectors that become bytes together: zero point and bounds are applied to 16-bit and 8-bit lanes,
// where sums saturate beyond every bound.
template <class T>
class Narrower {
 public:
  using F = typename T::F;
  using I = typename T::I;
  QUOIN_INLINE Narrower(int32_t zero_point, int32_t low, int32_t high)
      : most_(T::set1(32767.0f)),
        zero_(T::set1_int(zero_point * 0x10001)),
        low_(T::set1_int(static_cast<int32_t>(static_cast<uint32_t>(low) * 0x1010101u))),
        high_(T::set1_int(static_cast<int32_t>(static_cast<uint32_t>(high) * 0x1010101u))) {}
  // Reals below int32 convert to its least value, as NaN does; those above would, too, unless there are none (Fits).
  template <bool Fits>
  QUOIN_INLINE I steps(I acc, F multiplier) const {
    const F real = T::to_float(acc) * multiplier;
    return T::round_to_int(Fits ? real : T::min(most_, real));
  }
  // Bytes of four vectors of sums; `fits`: products_fit of the multipliers, of which each sum has one.
  QUOIN_INLINE I bytes(const I (&acc)[4], const float* multiplier, bool fits) const {
    return fits ? bytes<true>(acc, multiplier) : bytes<false>(acc, multiplier);
  }
  QUOIN_INLINE I pack(const I (&steps)[4]) const { return T::pack(steps, zero_, low_, high_); }

 private:
  template <bool Fits>
  QUOIN_INLINE I bytes(const I (&acc)[4], const float* multiplier) const {
    I all[4];
    QUOIN_UNROLL
    for (int i = 0; i < 4; ++i) all[i] = steps<Fits>(acc[i], T::load(multiplier + i * T::kLanes));
    return pack(all);
  }
  F most_;
  I zero_, low_, high_;  // in every lane of 16, 8 and 8 bits
};

}  // namespace
}  // namespace quoin::cpu
