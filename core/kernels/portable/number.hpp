// Arithmetic with the reference's promotion rules: a result has the widest floating type of its operands and is rounded
// to it; integers and literals take the type of the other operand. Formulas are templates over float, for graphs where
// everything real is f32, and Number, for all others; both give the same results on f32.
#pragma once

#include <cmath>

#include "kernels/portable/elements.hpp"

namespace quoin::kernels {

struct Number {
  double value = 0;
  DType type = DType::s64;  // floating, or any other: no type of its own
};

DType promote(DType a, DType b);  // f16 and bf16 meet in f32
inline Number cast(Number x, DType type) { return {rounded(type, x.value), type}; }

Number operator+(Number a, Number b);
Number operator-(Number a, Number b);
Number operator*(Number a, Number b);
Number operator/(Number a, Number b);

// Half to even.
inline float round_even(float x) { return std::nearbyintf(x); }
inline Number round_even(Number x) { return {std::nearbyint(x.value), x.type}; }

// Number <-> the type that a formula computes with.
template <class N>
N as(Number x) {
  if constexpr (std::is_same_v<N, Number>)
    return x;
  else
    return static_cast<float>(x.value);
}
inline double value_of(float x) { return static_cast<double>(x); }
inline double value_of(Number x) { return x.value; }

}  // namespace quoin::kernels
