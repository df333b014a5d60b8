#pragma once

#include "ops/dtype.hpp"

namespace quoin {

struct IntegerRange {
  int64_t low = 0, high = 0;
};
// What an element of the type can hold. Precondition: an integer type of at most 32 bits.
inline IntegerRange integer_range(DType dtype) {
  const bool is_unsigned = dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u4;
  const int64_t steps = int64_t{1} << bits(dtype);
  return is_unsigned ? IntegerRange{0, steps - 1} : IntegerRange{-steps / 2, steps / 2 - 1};
}

}  // namespace quoin
