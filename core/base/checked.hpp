// Arithmetic on sizes that come from files: overflow is an answer, not undefined behaviour.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

namespace quoin {

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T out{};
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}
template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T out{};
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}
// As std::has_single_bit, without the library function that counts bits.
constexpr bool is_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }
// Smallest multiple of alignment (a power of two) that is >= value; the caller guarantees that it fits.
template <std::unsigned_integral T>
constexpr T align_up(T value, T alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

}  // namespace quoin
