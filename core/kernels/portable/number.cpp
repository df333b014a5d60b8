#include "kernels/portable/number.hpp"

#include <functional>

namespace quoin::kernels {
namespace {

// Typed operands are exact in binary64, whose result rounds once more to theirs without harm (53 >= 2 * 24 + 2 bits).
double operand(Number x, DType type) {
  return !is_floating(type) || type == DType::f64 || is_floating(x.type)
             ? x.value
             : static_cast<double>(static_cast<float>(x.value));
}

template <class F>
Number combine(Number a, Number b, const F& f) {
  const DType type = promote(a.type, b.type);
  return {rounded(type, f(operand(a, type), operand(b, type))), type};  // no rounding where there is no type
}

}  // namespace

DType promote(DType a, DType b) {
  if (!is_floating(a)) return b;
  if (!is_floating(b) || a == b) return a;
  return a == DType::f64 || b == DType::f64 ? DType::f64 : DType::f32;
}

Number operator+(Number a, Number b) { return combine(a, b, std::plus()); }
Number operator-(Number a, Number b) { return combine(a, b, std::minus()); }
Number operator*(Number a, Number b) { return combine(a, b, std::multiplies()); }
Number operator/(Number a, Number b) { return combine(a, b, std::divides()); }

}  // namespace quoin::kernels
