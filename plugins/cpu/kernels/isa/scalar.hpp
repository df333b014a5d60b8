// The trait without intrinsics: 16 lanes of plain C++, the tile shapes of AVX-512. Runs the same algorithms on any
// machine.
#pragma once

#include "common.hpp"
#include "half.hpp"

namespace quoin::cpu {
namespace {

struct Scalar {
  using Half = Scalar;
  static constexpr int kLanes = 16;
  static constexpr int kDotBlocks = 2, kFmaBlocks = 2;
  static constexpr int kDotRows[] = {0, 4, 2}, kFmaRows[] = {0, 4, 2};
  static constexpr int kGroupedVectors = 1, kGroupedTokens = 1;
  static constexpr int kDepthwiseVectors = 2, kDepthwisePixels = 2;
  static constexpr bool kByteDots = true;

  struct F {
    float v[kLanes];
  };
  struct I {
    int32_t v[kLanes];
  };
  using X = I;
  using W = I;

  template <class V, class Fn>
  static QUOIN_INLINE V make(const Fn& fn) {
    V r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = fn(i);
    return r;
  }
  static QUOIN_INLINE F load(const float* p) {
    return make<F>([&](int i) { return p[i]; });
  }
  static QUOIN_INLINE F load_n(const float* p, int64_t n) {
    return make<F>([&](int i) { return i < n ? p[i] : 0.0f; });
  }
  static QUOIN_INLINE void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
  static QUOIN_INLINE void store_n(float* p, F a, int64_t n) {
    for (int i = 0; i < n; ++i) p[i] = a.v[i];
  }
  static QUOIN_INLINE F set1(float a) {
    return make<F>([&](int) { return a; });
  }
  static QUOIN_INLINE F fma(F a, F b, F c) {
    return make<F>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  // The second operand where the first is NaN, as the machine instructions do.
  static QUOIN_INLINE F min(F a, F b) {
    return make<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static QUOIN_INLINE F max(F a, F b) {
    return make<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static QUOIN_INLINE F round(F a) {
    return make<F>([&](int i) { return __builtin_nearbyintf(a.v[i]); });
  }
  static QUOIN_INLINE F select_less(F a, F b, F yes, F no) {  // a < b ? yes : no
    return make<F>([&](int i) { return a.v[i] < b.v[i] ? yes.v[i] : no.v[i]; });
  }
  static QUOIN_INLINE F fill_tail(F a, int64_t n, float fill) {  // lanes >= n become fill
    return make<F>([&](int i) { return i < n ? a.v[i] : fill; });
  }
  // Numbers out of range, and NaN, become the least one, as the machine instructions do.
  static QUOIN_INLINE int32_t to_int(float a) {
    return a >= -0x1p31f && a < 0x1p31f ? static_cast<int32_t>(a) : INT32_MIN;
  }
  static QUOIN_INLINE I round_to_int(F a) {
    return make<I>([&](int i) { return to_int(__builtin_nearbyintf(a.v[i])); });
  }
  static QUOIN_INLINE F to_float(I a) {
    return make<F>([&](int i) { return static_cast<float>(a.v[i]); });
  }
  static QUOIN_INLINE F power_of_two(I a) {  // -126 <= a <= 127
    return make<F>([&](int i) { return __builtin_bit_cast(float, (a.v[i] + 127) << 23); });
  }
  static QUOIN_INLINE float sum(F a) {
    float total = 0;
    for (float x : a.v) total += x;
    return total;
  }
  static QUOIN_INLINE float max_of(F a) {
    float best = a.v[0];
    for (float x : a.v) best = x > best ? x : best;
    return best;
  }
  static QUOIN_INLINE float min_of(F a) {
    float best = a.v[0];
    for (float x : a.v) best = x < best ? x : best;
    return best;
  }

  static QUOIN_INLINE I load_int(const int32_t* p) {
    return make<I>([&](int i) { return p[i]; });
  }
  static QUOIN_INLINE I set1_int(int32_t a) {
    return make<I>([&](int) { return a; });
  }
  // Wraps like the machine instructions; unsigned, since signed overflow is undefined.
  static QUOIN_INLINE I add_int(I a, I b) {
    return make<I>([&](int i) { return static_cast<int32_t>(uint32_t(a.v[i]) + uint32_t(b.v[i])); });
  }
  static QUOIN_INLINE I sub_int(I a, I b) {
    return make<I>([&](int i) { return static_cast<int32_t>(uint32_t(a.v[i]) - uint32_t(b.v[i])); });
  }
  static QUOIN_INLINE I mul_int(I a, I b) {
    return make<I>([&](int i) { return static_cast<int32_t>(uint32_t(a.v[i]) * uint32_t(b.v[i])); });
  }
  static QUOIN_INLINE I halve(I a) {
    return make<I>([&](int i) { return a.v[i] >> 1; });
  }
  static QUOIN_INLINE I max_int(I a, I b) {
    return make<I>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static QUOIN_INLINE I and_int(I a, I b) {
    return make<I>([&](int i) { return a.v[i] & b.v[i]; });
  }
  static QUOIN_INLINE I xor_int(I a, I b) {
    return make<I>([&](int i) { return a.v[i] ^ b.v[i]; });
  }
  static QUOIN_INLINE I shift_left(I a, int count) {
    return make<I>([&](int i) { return static_cast<int32_t>(uint32_t(a.v[i]) << count); });
  }
  static QUOIN_INLINE I shift_right(I a, int count) {
    return make<I>([&](int i) { return a.v[i] >> count; });
  }
  static QUOIN_INLINE F load_half(const void* p) {
    return make<F>([&](int i) { return from_half(load16(p, i)); });
  }
  static QUOIN_INLINE F load_bfloat(const void* p) {
    return make<F>([&](int i) { return __builtin_bit_cast(float, uint32_t{load16(p, i)} << 16); });
  }
  static QUOIN_INLINE uint16_t load16(const void* p, int i) {
    uint16_t word;
    std::memcpy(&word, static_cast<const uint8_t*>(p) + 2 * i, sizeof word);
    return word;
  }
  static QUOIN_INLINE I quantize_wide(F x, double inverse, double zero) {
    return make<I>([&](int i) {
      const double q = static_cast<double>(x.v[i]) * inverse + zero;
      return static_cast<int32_t>(__builtin_nearbyint(q > -128 ? (q < 127 ? q : 127) : -128));
    });
  }
  // QuantizeTokens: 32 codes u = s8 + 128 become s8; returns the sum of those.
  static QUOIN_INLINE int32_t flip_codes(int8_t* p) {
    int32_t total = 0;
    for (int i = 0; i < 32; ++i) {
      p[i] = static_cast<int8_t>(p[i] ^ -128);
      total += p[i];
    }
    return total;
  }

  static QUOIN_INLINE I load_u8(const uint8_t* p) {
    return make<I>([&](int i) { return p[i]; });
  }
  static QUOIN_INLINE I load_u8_n(const uint8_t* p, int64_t n) {
    return make<I>([&](int i) { return i < n ? p[i] : 0; });
  }
  // Lanes hold 0..255.
  static QUOIN_INLINE void store_u8_n(uint8_t* p, I a, int64_t n) {
    for (int i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(a.v[i]);
  }
  static QUOIN_INLINE void store_u8(uint8_t* p, I a) { store_u8_n(p, a, kLanes); }

  static QUOIN_INLINE I load_bytes(const void* p) {
    I r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static QUOIN_INLINE I load_every_second(const uint8_t* p, int64_t piece) {
    uint8_t bytes[sizeof(I)];
    for (int64_t at = 0; at < static_cast<int64_t>(sizeof bytes); at += piece)
      std::memcpy(bytes + at, p + 2 * at, static_cast<size_t>(piece));
    return load_bytes(bytes);
  }
  static QUOIN_INLINE X prepare_x(I a) { return a; }
  static QUOIN_INLINE W prepare_w(I a) { return a; }
  static QUOIN_INLINE I dot4(I acc, X x, W w) {
    return make<I>([&](int i) {
      uint32_t total = uint32_t(acc.v[i]);
      for (int b = 0; b < 4; ++b) {
        const int32_t u = (x.v[i] >> (8 * b)) & 255;
        const int32_t s = static_cast<int8_t>(w.v[i] >> (8 * b));
        total += static_cast<uint32_t>(u * s);
      }
      return static_cast<int32_t>(total);
    });
  }
  // Within each 16-byte lane L: out[i] holds columns L * 16 + 4 i .. + 3, four row bytes each.
  static QUOIN_INLINE void interleave4(const I (&row)[4], I (&out)[4]) {
    uint8_t in[4][64];
    for (int r = 0; r < 4; ++r) std::memcpy(in[r], row[r].v, 64);
    for (int i = 0; i < 4; ++i)
      for (int w = 0; w < kLanes; ++w) {
        const int c = (w / 4) * 16 + i * 4 + w % 4;
        out[i].v[w] = static_cast<int32_t>(in[0][c] | (in[1][c] << 8) | (in[2][c] << 16) | (uint32_t(in[3][c]) << 24));
      }
  }
  // Byte c of the result is of vector c % 16 / 4, lane c / 16 * 4 + c % 4: the inverse order of interleave4.
  static QUOIN_INLINE I pack(const I (&a)[4], I zero, I low, I high) {
    const int32_t offset = zero.v[0] & 0xFFFF, least = low.v[0] & 255, most = high.v[0] & 255;
    uint8_t bytes[64];
    for (int c = 0; c < 64; ++c) {
      const int64_t steps = int64_t{a[c % 16 / 4].v[c / 16 * 4 + c % 4]} + offset;
      bytes[c] = static_cast<uint8_t>(steps < least ? least : steps > most ? most : steps);
    }
    return load_bytes(bytes);
  }
  static QUOIN_INLINE I by_vector(I packed) {
    return make<I>([&](int i) { return packed.v[i % 4 * 4 + i / 4]; });
  }
  template <int Block>
  static QUOIN_INLINE void store_block(uint8_t* p, I bytes, int64_t n) {
    std::memcpy(p, bytes.v + Block * 4, static_cast<size_t>(smaller(n, 16)));
  }
  static QUOIN_INLINE void store_bytes(uint8_t* p, I bytes, int64_t n) {
    std::memcpy(p, bytes.v, static_cast<size_t>(smaller(n, 64)));
  }
};

QUOIN_INLINE Scalar::F operator+(Scalar::F a, Scalar::F b) {
  return Scalar::make<Scalar::F>([&](int i) { return a.v[i] + b.v[i]; });
}
QUOIN_INLINE Scalar::F operator-(Scalar::F a, Scalar::F b) {
  return Scalar::make<Scalar::F>([&](int i) { return a.v[i] - b.v[i]; });
}
QUOIN_INLINE Scalar::F operator*(Scalar::F a, Scalar::F b) {
  return Scalar::make<Scalar::F>([&](int i) { return a.v[i] * b.v[i]; });
}
QUOIN_INLINE Scalar::F operator/(Scalar::F a, Scalar::F b) {
  return Scalar::make<Scalar::F>([&](int i) { return a.v[i] / b.v[i]; });
}

}  // namespace
}  // namespace quoin::cpu
