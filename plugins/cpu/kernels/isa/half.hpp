// binary16 as bits, without instructions for it. Internal linkage, as everything that tiers share.
#pragma once

#include <cstdint>

namespace quoin::cpu {
namespace {

[[maybe_unused]] __attribute__((always_inline)) inline float from_half(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 0x3FFu;
  if (exponent == 0) {
    const float tiny = static_cast<float>(fraction) * 0x1p-24f;
    return sign == 0 ? tiny : -tiny;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return __builtin_bit_cast(float, sign | (wide << 23) | (fraction << 13));
}

}  // namespace
}  // namespace quoin::cpu
