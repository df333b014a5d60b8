// AVX2 with FMA; the AvxVnni variant replaces only the integer dot product.
#pragma once

#include <immintrin.h>

#include "batch.hpp"

QUOIN_OWN_ARCH(Avx2Arch, fma3<xsimd::avx2>);

namespace quoin::cpu {
namespace {

struct Avx2 : Batch<Avx2Arch> {
  using Half = Avx2;
  static constexpr int kDotBlocks = 1, kFmaBlocks = 1;
  static constexpr int kDotRows[] = {0, 4}, kFmaRows[] = {0, 6};
  static constexpr int kGroupedVectors = 1, kGroupedTokens = 4;
  static constexpr int kDepthwiseVectors = 1, kDepthwisePixels = 7;
  static constexpr bool kByteDots = false;

  // Bytes 0, 2 and bytes 1, 3 of each lane as 16-bit numbers: two exact vpmaddwd instead of a saturating vpmaddubsw.
  struct X {
    I even, odd;
  };
  using W = X;

  static QUOIN_INLINE __m256i first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static QUOIN_INLINE F load_n(const float* p, int64_t n) {
    return n == kLanes ? load(p) : F(_mm256_maskload_ps(p, first(n)));
  }
  static QUOIN_INLINE void store_n(float* p, F a, int64_t n) {
    if (n == kLanes) {
      store(p, a);
    } else {
      _mm256_maskstore_ps(p, first(n), a);
    }
  }
  static QUOIN_INLINE F fill_tail(F a, int64_t n, float fill) {
    return n == kLanes ? a : xsimd::select(Mask(_mm256_castsi256_ps(first(n))), a, F(fill));
  }
  static QUOIN_INLINE float sum(F a) { return xsimd::hadd(a); }
  static QUOIN_INLINE float max_of(F a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
  static QUOIN_INLINE float min_of(F a) { return -max_of(F(0) - a); }

  static QUOIN_INLINE I load_u8(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static QUOIN_INLINE I load_u8_n(const uint8_t* p, int64_t n) {
    if (n == kLanes) return load_u8(p);
    uint8_t bytes[kLanes] = {};
    std::memcpy(bytes, p, static_cast<size_t>(n));
    return load_u8(bytes);
  }
  static QUOIN_INLINE void store_u8(uint8_t* p, I a) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }
  static QUOIN_INLINE void store_u8_n(uint8_t* p, I a, int64_t n) {
    if (n == kLanes) return store_u8(p, a);
    uint8_t bytes[kLanes];
    store_u8(bytes, a);
    std::memcpy(p, bytes, static_cast<size_t>(n));
  }

  static QUOIN_INLINE I load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static QUOIN_INLINE I load_every_second(const uint8_t* p, [[maybe_unused]] int64_t piece) {
    const I first = load_bytes(p), second = load_bytes(p + 32);
    return _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(first, second), 0b11011000);
  }
  static QUOIN_INLINE X prepare_x(I a) {
    return {_mm256_and_si256(a, _mm256_set1_epi16(255)), _mm256_srli_epi16(a, 8)};
  }
  static QUOIN_INLINE W prepare_w(I a) {
    return {_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8), _mm256_srai_epi16(a, 8)};
  }
  static QUOIN_INLINE I dot4(I acc, X x, W w) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x.even, w.even));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x.odd, w.odd));
  }
  // 16-bit lanes: sums of two products of u8 and s8 (saturated, which u8 below 16 do not reach).
  static QUOIN_INLINE I dot2(I u8, I s8) { return _mm256_maddubs_epi16(u8, s8); }
  static QUOIN_INLINE I add_words(I a, I b) {
    __m256i sum = _mm256_add_epi16(a, b);
    QUOIN_PIN(sum);
    return sum;
  }
  // acc + factor * (even 16-bit lane + odd 16-bit lane)
  static QUOIN_INLINE I widen(I acc, I words, int16_t factor) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(words, _mm256_set1_epi16(factor)));
  }
  static QUOIN_INLINE F load_half(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static QUOIN_INLINE F load_bfloat(const void* p) {
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
  }
  static QUOIN_INLINE I quantize_wide(F x, double inverse, double zero) {
    const __m128i low = quantize_half(_mm256_castps256_ps128(x), inverse, zero);
    return _mm256_set_m128i(quantize_half(_mm256_extractf128_ps(x, 1), inverse, zero), low);
  }
  static QUOIN_INLINE __m128i quantize_half(__m128 x, double inverse, double zero) {
    const __m256d scaled = _mm256_mul_pd(_mm256_cvtps_pd(x), _mm256_set1_pd(inverse));
    const __m256d q = _mm256_max_pd(_mm256_add_pd(scaled, _mm256_set1_pd(zero)), _mm256_set1_pd(-128));
    return _mm256_cvtpd_epi32(_mm256_min_pd(q, _mm256_set1_pd(127)));
  }
  // QuantizeTokens: 32 codes u = s8 + 128 become s8; returns the sum of those.
  static QUOIN_INLINE int32_t flip_codes(int8_t* p) {
    const __m256i u = _mm256_loadu_si256(reinterpret_cast<__m256i*>(p));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_xor_si256(u, _mm256_set1_epi8(-128)));
    const __m256i eights = _mm256_sad_epu8(u, _mm256_setzero_si256());
    const __m128i fours = _mm_add_epi64(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
    return _mm_cvtsi128_si32(fours) + _mm_extract_epi32(fours, 2) - 32 * 128;
  }
  static QUOIN_INLINE void interleave4(const I (&row)[4], I (&out)[4]) {
    const I low01 = _mm256_unpacklo_epi8(row[0], row[1]), high01 = _mm256_unpackhi_epi8(row[0], row[1]);
    const I low23 = _mm256_unpacklo_epi8(row[2], row[3]), high23 = _mm256_unpackhi_epi8(row[2], row[3]);
    out[0] = _mm256_unpacklo_epi16(low01, low23);
    out[1] = _mm256_unpackhi_epi16(low01, low23);
    out[2] = _mm256_unpacklo_epi16(high01, high23);
    out[3] = _mm256_unpackhi_epi16(high01, high23);
  }
  static QUOIN_INLINE I pack(const I (&a)[4], I zero, I low, I high) {
    const __m256i first = _mm256_adds_epi16(_mm256_packs_epi32(a[0], a[1]), zero);
    const __m256i second = _mm256_adds_epi16(_mm256_packs_epi32(a[2], a[3]), zero);
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(first, second), low), high);
  }
  static QUOIN_INLINE I by_vector(I packed) {
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  template <int Block>
  static QUOIN_INLINE void store_block(uint8_t* p, I bytes, int64_t n) {
    const __m128i block = _mm256_extracti128_si256(bytes, Block);
    if (n >= 16) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), block);
    } else {
      uint8_t buffer[16];
      _mm_storeu_si128(reinterpret_cast<__m128i*>(buffer), block);
      std::memcpy(p, buffer, static_cast<size_t>(n));
    }
  }
  static QUOIN_INLINE void store_bytes(uint8_t* p, I bytes, int64_t n) {
    if (n >= 32) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bytes);
    } else {
      uint8_t buffer[32];
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(buffer), bytes);
      std::memcpy(p, buffer, static_cast<size_t>(n));
    }
  }
};

#ifdef __AVXVNNI__
struct AvxVnni : Avx2 {
  using Half = AvxVnni;
  static constexpr int kDotRows[] = {0, 6};
  static constexpr bool kByteDots = true;
  using X = I;
  using W = I;
  static QUOIN_INLINE X prepare_x(I a) { return a; }
  static QUOIN_INLINE W prepare_w(I a) { return a; }
  static QUOIN_INLINE I dot4(I acc, X x, W w) { return _mm256_dpbusd_avx_epi32(acc, x, w); }
};
#endif

}  // namespace
}  // namespace quoin::cpu
