// AVX-512 F, BW, DQ, VL; the Vnni variant replaces only the integer dot product.
#pragma once

#include <immintrin.h>

#include "avx2.hpp"
#include "batch.hpp"

QUOIN_OWN_ARCH(Avx512Arch, avx512bw);

namespace quoin::cpu {
namespace {

struct Avx512 : Batch<Avx512Arch> {
  using Half = Avx2;
  static constexpr int kDotBlocks = 2, kFmaBlocks = 4;
  static constexpr int kDotRows[] = {0, 8, 8}, kFmaRows[] = {0, 8, 12, 8, 6};
  static constexpr int kGroupedVectors = 2, kGroupedTokens = 4;
  static constexpr int kDepthwiseVectors = 2, kDepthwisePixels = 7;
  static constexpr bool kByteDots = false;

  // Bytes 0, 2 and bytes 1, 3 of each lane as 16-bit numbers: two exact vpmaddwd instead of a saturating vpmaddubsw.
  struct X {
    I even, odd;
  };
  using W = X;

  static QUOIN_INLINE __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static QUOIN_INLINE F load_n(const float* p, int64_t n) {
    return n == kLanes ? load(p) : F(_mm512_maskz_loadu_ps(first(n), p));
  }
  static QUOIN_INLINE void store_n(float* p, F a, int64_t n) {
    if (n == kLanes) {
      store(p, a);
    } else {
      _mm512_mask_storeu_ps(p, first(n), a);
    }
  }
  // xsimd 8.1 has no fused multiply-add for AVX-512.
  static QUOIN_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static QUOIN_INLINE F fill_tail(F a, int64_t n, float fill) {
    return n == kLanes ? a : xsimd::select(Mask(first(n)), a, F(fill));
  }
  // Not xsimd::hadd: it instantiates functions of the shared tag xsimd::avx2 with AVX-512 flags.
  static QUOIN_INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
  static QUOIN_INLINE float max_of(F a) { return _mm512_reduce_max_ps(a); }
  static QUOIN_INLINE float min_of(F a) { return _mm512_reduce_min_ps(a); }

  static QUOIN_INLINE I load_u8(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static QUOIN_INLINE I load_u8_n(const uint8_t* p, int64_t n) {
    return n == kLanes ? load_u8(p) : I(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(n), p)));
  }
  static QUOIN_INLINE void store_u8(uint8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a));
  }
  static QUOIN_INLINE void store_u8_n(uint8_t* p, I a, int64_t n) {
    if (n == kLanes) {
      store_u8(p, a);
    } else {
      _mm512_mask_cvtepi32_storeu_epi8(p, first(n), a);
    }
  }

  static QUOIN_INLINE I load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  static QUOIN_INLINE I load_every_second(const uint8_t* p, int64_t piece) {
    const __m512i first = _mm512_loadu_si512(p), second = _mm512_loadu_si512(p + 64);
    const __m512i eights = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    const __m512i sixteens = _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13);
    return _mm512_permutex2var_epi64(first, piece == 8 ? eights : sixteens, second);
  }
  static QUOIN_INLINE X prepare_x(I a) {
    return {_mm512_and_si512(a, _mm512_set1_epi16(255)), _mm512_srli_epi16(a, 8)};
  }
  static QUOIN_INLINE W prepare_w(I a) {
    return {_mm512_srai_epi16(_mm512_slli_epi16(a, 8), 8), _mm512_srai_epi16(a, 8)};
  }
  static QUOIN_INLINE I dot4(I acc, X x, W w) {
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(x.even, w.even));
    return _mm512_add_epi32(acc, _mm512_madd_epi16(x.odd, w.odd));
  }
  // 16-bit lanes: sums of two products of u8 and s8 (saturated, which u8 below 16 do not reach).
  static QUOIN_INLINE I dot2(I u8, I s8) { return _mm512_maddubs_epi16(u8, s8); }
  static QUOIN_INLINE I add_words(I a, I b) {
    __m512i sum = _mm512_add_epi16(a, b);
    QUOIN_PIN(sum);
    return sum;
  }
  // acc + factor * (even 16-bit lane + odd 16-bit lane)
  static QUOIN_INLINE I widen(I acc, I words, int16_t factor) {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(words, _mm512_set1_epi16(factor)));
  }
  static QUOIN_INLINE F load_half(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static QUOIN_INLINE F load_bfloat(const void* p) {
    const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  }
  static QUOIN_INLINE I quantize_wide(F x, double inverse, double zero) {
    const __m256i low = quantize_half(_mm512_castps512_ps256(x), inverse, zero);
    const __m256i high = quantize_half(_mm512_extractf32x8_ps(x, 1), inverse, zero);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  static QUOIN_INLINE __m256i quantize_half(__m256 x, double inverse, double zero) {
    const __m512d scaled = _mm512_mul_pd(_mm512_cvtps_pd(x), _mm512_set1_pd(inverse));
    const __m512d q = _mm512_max_pd(_mm512_add_pd(scaled, _mm512_set1_pd(zero)), _mm512_set1_pd(-128));
    return _mm512_cvtpd_epi32(_mm512_min_pd(q, _mm512_set1_pd(127)));
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
    const I low01 = _mm512_unpacklo_epi8(row[0], row[1]), high01 = _mm512_unpackhi_epi8(row[0], row[1]);
    const I low23 = _mm512_unpacklo_epi8(row[2], row[3]), high23 = _mm512_unpackhi_epi8(row[2], row[3]);
    out[0] = _mm512_unpacklo_epi16(low01, low23);
    out[1] = _mm512_unpackhi_epi16(low01, low23);
    out[2] = _mm512_unpacklo_epi16(high01, high23);
    out[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  static QUOIN_INLINE I pack(const I (&a)[4], I zero, I low, I high) {
    const __m512i first = _mm512_adds_epi16(_mm512_packs_epi32(a[0], a[1]), zero);
    const __m512i second = _mm512_adds_epi16(_mm512_packs_epi32(a[2], a[3]), zero);
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(first, second), low), high);
  }
  static QUOIN_INLINE I by_vector(I packed) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, packed);
  }
  template <int Block>
  static QUOIN_INLINE void store_block(uint8_t* p, I bytes, int64_t n) {
    const __m128i block = _mm512_extracti32x4_epi32(bytes, Block);
    if (n >= 16) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), block);
    } else {
      _mm_mask_storeu_epi8(p, first(n), block);
    }
  }
  static QUOIN_INLINE void store_bytes(uint8_t* p, I bytes, int64_t n) {
    if (n >= 64) {
      _mm512_storeu_si512(p, bytes);
    } else {
      _mm512_mask_storeu_epi8(p, (uint64_t{1} << n) - 1, bytes);
    }
  }
};

#ifdef __AVX512VNNI__
struct Avx512VnniHalf : Avx2 {
  static constexpr bool kByteDots = true;
  using X = I;
  using W = I;
  static QUOIN_INLINE X prepare_x(I a) { return a; }
  static QUOIN_INLINE W prepare_w(I a) { return a; }
  static QUOIN_INLINE I dot4(I acc, X x, W w) {
    const __m256i sum = acc, u8 = x, s8 = w;  // gcc's intrinsic is a macro that casts
    return _mm256_dpbusd_epi32(sum, u8, s8);
  }
};

struct Avx512Vnni : Avx512 {
  using Half = Avx512VnniHalf;
  static constexpr int kDotBlocks = 4;
  static constexpr int kDotRows[] = {0, 12, 8, 8, 6};
  static constexpr bool kByteDots = true;
  using X = I;
  using W = I;
  static QUOIN_INLINE X prepare_x(I a) { return a; }
  static QUOIN_INLINE W prepare_w(I a) { return a; }
  static QUOIN_INLINE I dot4(I acc, X x, W w) { return _mm512_dpbusd_epi32(acc, x, w); }
};
#endif

}  // namespace
}  // namespace quoin::cpu
