// AVX-512 F, BW, DQ, VL; the Vnni variant replaces only the integer dot product.
#pragma once

#include <immintrin.h>

#include "common.hpp"

namespace quoin::cpu {
namespace {

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kDotBlocks = 2, kFmaBlocks = 4;
  static constexpr int kDotRows[] = {0, 8, 8}, kFmaRows[] = {0, 8, 8, 8, 6};

  using F = __m512;
  using I = __m512i;
  // Bytes 0, 2 and bytes 1, 3 of each lane as 16-bit numbers: two exact vpmaddwd instead of a saturating vpmaddubsw.
  struct X {
    I even, odd;
  };
  using W = X;

  static QUOIN_INLINE __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static QUOIN_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  static QUOIN_INLINE F load_n(const float* p, int64_t n) {
    return n == kLanes ? load(p) : _mm512_maskz_loadu_ps(first(n), p);
  }
  static QUOIN_INLINE void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static QUOIN_INLINE void store_n(float* p, F a, int64_t n) {
    if (n == kLanes) {
      store(p, a);
    } else {
      _mm512_mask_storeu_ps(p, first(n), a);
    }
  }
  static QUOIN_INLINE F set1(float a) { return _mm512_set1_ps(a); }
  static QUOIN_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static QUOIN_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  static QUOIN_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  static QUOIN_INLINE F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static QUOIN_INLINE F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static QUOIN_INLINE F select_less(F a, F b, F yes, F no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
  }
  static QUOIN_INLINE F fill_tail(F a, int64_t n, float fill) {
    return n == kLanes ? a : _mm512_mask_blend_ps(first(n), set1(fill), a);
  }
  static QUOIN_INLINE I round_to_int(F a) { return _mm512_cvtps_epi32(a); }
  static QUOIN_INLINE F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static QUOIN_INLINE F power_of_two(I a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(127)), 23));
  }
  static QUOIN_INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
  static QUOIN_INLINE float max_of(F a) { return _mm512_reduce_max_ps(a); }
  static QUOIN_INLINE float min_of(F a) { return _mm512_reduce_min_ps(a); }

  static QUOIN_INLINE I load_int(const int32_t* p) { return _mm512_loadu_si512(p); }
  static QUOIN_INLINE I set1_int(int32_t a) { return _mm512_set1_epi32(a); }
  static QUOIN_INLINE I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  static QUOIN_INLINE I sub_int(I a, I b) { return _mm512_sub_epi32(a, b); }
  static QUOIN_INLINE I mul_int(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static QUOIN_INLINE I halve(I a) { return _mm512_srai_epi32(a, 1); }
  static QUOIN_INLINE I max_int(I a, I b) { return _mm512_max_epi32(a, b); }
  static QUOIN_INLINE I load_u8(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static QUOIN_INLINE I load_u8_n(const uint8_t* p, int64_t n) {
    return n == kLanes ? load_u8(p) : _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(n), p));
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
  static QUOIN_INLINE void interleave4(const I (&row)[4], I (&out)[4]) {
    const I low01 = _mm512_unpacklo_epi8(row[0], row[1]), high01 = _mm512_unpackhi_epi8(row[0], row[1]);
    const I low23 = _mm512_unpacklo_epi8(row[2], row[3]), high23 = _mm512_unpackhi_epi8(row[2], row[3]);
    out[0] = _mm512_unpacklo_epi16(low01, low23);
    out[1] = _mm512_unpackhi_epi16(low01, low23);
    out[2] = _mm512_unpacklo_epi16(high01, high23);
    out[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  static QUOIN_INLINE void store_interleaved(uint8_t* p, const I (&a)[4], int64_t n) {
    const I bytes = _mm512_packus_epi16(_mm512_packs_epi32(a[0], a[1]), _mm512_packs_epi32(a[2], a[3]));
    if (n >= 64) {
      _mm512_storeu_si512(p, bytes);
    } else {
      _mm512_mask_storeu_epi8(p, (uint64_t{1} << n) - 1, bytes);
    }
  }
};

#ifdef __AVX512VNNI__
struct Avx512Vnni : Avx512 {
  static constexpr int kDotBlocks = 4;
  static constexpr int kDotRows[] = {0, 8, 8, 8, 6};
  using X = I;
  using W = I;
  static QUOIN_INLINE X prepare_x(I a) { return a; }
  static QUOIN_INLINE W prepare_w(I a) { return a; }
  static QUOIN_INLINE I dot4(I acc, X x, W w) { return _mm512_dpbusd_epi32(acc, x, w); }
};
#endif

}  // namespace
}  // namespace quoin::cpu
