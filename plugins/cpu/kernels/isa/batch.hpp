// The part of an ISA trait that xsimd covers: arithmetic on whole vectors of float and int32.
#pragma once

#include <xsimd/xsimd.hpp>

#include "common.hpp"

namespace quoin::cpu {
namespace {

// Arch must have internal linkage (QUOIN_OWN_ARCH): it is an argument of every xsimd template used here, so that even
// those the compiler does not inline stay inside their translation unit.
template <class Arch>
struct Batch {
  using F = xsimd::batch<float, Arch>;
  using I = xsimd::batch<int32_t, Arch>;
  using Mask = xsimd::batch_bool<float, Arch>;
  static constexpr int kLanes = static_cast<int>(F::size);

  static QUOIN_INLINE F load(const float* p) { return F::load_unaligned(p); }
  static QUOIN_INLINE void store(float* p, F a) { a.store_unaligned(p); }
  static QUOIN_INLINE F set1(float a) { return F(a); }
  static QUOIN_INLINE F fma(F a, F b, F c) { return xsimd::fma(a, b, c); }
  static QUOIN_INLINE F min(F a, F b) { return xsimd::min(a, b); }
  static QUOIN_INLINE F max(F a, F b) { return xsimd::max(a, b); }
  static QUOIN_INLINE F round(F a) { return xsimd::nearbyint(a); }
  static QUOIN_INLINE F select_less(F a, F b, F yes, F no) { return xsimd::select(a < b, yes, no); }
  static QUOIN_INLINE I round_to_int(F a) { return xsimd::nearbyint_as_int(a); }
  static QUOIN_INLINE F to_float(I a) { return xsimd::to_float(a); }
  static QUOIN_INLINE F power_of_two(I a) { return xsimd::bitwise_cast<F>((a + I(127)) << 23); }

  static QUOIN_INLINE I load_int(const int32_t* p) { return I::load_unaligned(p); }
  static QUOIN_INLINE I set1_int(int32_t a) { return I(a); }
  static QUOIN_INLINE I add_int(I a, I b) { return a + b; }
  static QUOIN_INLINE I sub_int(I a, I b) { return a - b; }
  static QUOIN_INLINE I mul_int(I a, I b) { return a * b; }
  static QUOIN_INLINE I halve(I a) { return a >> 1; }
  static QUOIN_INLINE I and_int(I a, I b) { return a & b; }
  static QUOIN_INLINE I xor_int(I a, I b) { return a ^ b; }
  static QUOIN_INLINE I shift_left(I a, int count) { return a << count; }
  static QUOIN_INLINE I shift_right(I a, int count) { return a >> count; }  // keeps the sign
  static QUOIN_INLINE I max_int(I a, I b) { return xsimd::max(a, b); }
};

}  // namespace
}  // namespace quoin::cpu

// Defines the arch tag quoin::cpu::name, which selects the registers and functions of xsimd::base. At global scope.
#define QUOIN_OWN_ARCH(name, base)                                                                \
  namespace quoin::cpu {                                                                          \
  namespace {                                                                                     \
  struct name : xsimd::base {};                                                                   \
  }                                                                                               \
  }                                                                                               \
  namespace xsimd::types {                                                                        \
  XSIMD_DECLARE_SIMD_REGISTER_ALIAS(quoin::cpu::name, xsimd::base);                               \
  template <class T>                                                                              \
  struct get_bool_simd_register<T, quoin::cpu::name> : get_bool_simd_register<T, xsimd::base> {}; \
  }                                                                                               \
  static_assert(quoin::cpu::name::supported())
