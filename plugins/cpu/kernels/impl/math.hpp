// Elementary functions on a vector of floats; bounds are the first operand of min and max, so that NaN passes.
// Polynomials and rationals are minimax fits in binary32; the error bounds
// in kernels.hpp are checked by tests over the whole range.
#pragma once

#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

// exp(x) = 2^n * p(r), x = n ln 2 + r, |r| <= ln 2 / 2; the scaling is split in two so that n may reach 128.
// Below -87.33 the result is 0 (no subnormals), above 88.72 infinity.
template <class T>
QUOIN_INLINE typename T::F exp(typename T::F x) {
  using F = typename T::F;
  const F lowest = T::set1(-87.3365478515625f);
  const F bounded = T::min(T::set1(89.0f), T::max(lowest, x));
  const F n = T::round(bounded * T::set1(1.44269504088896341f));
  F r = T::fma(n, T::set1(-0.693359375f), bounded);
  r = T::fma(n, T::set1(2.12194440e-4f), r);
  F p = T::set1(1.9875691500e-4f);
  p = T::fma(p, r, T::set1(1.3981999507e-3f));
  p = T::fma(p, r, T::set1(8.3334519073e-3f));
  p = T::fma(p, r, T::set1(4.1665795894e-2f));
  p = T::fma(p, r, T::set1(1.6666665459e-1f));
  p = T::fma(p, r, T::set1(5.0000001201e-1f));
  p = T::fma(p, r * r, r) + T::set1(1.0f);
  const typename T::I exponent = T::round_to_int(n), half = T::halve(exponent);
  const F scaled = p * T::power_of_two(half) * T::power_of_two(T::sub_int(exponent, half));
  return T::select_less(x, lowest, T::set1(0), scaled);
}

template <class T>
QUOIN_INLINE typename T::F sigmoid(typename T::F x) {
  const typename T::F one = T::set1(1);
  return one / (one + exp<T>(T::set1(0) - x));
}

// Odd rational x * P(x^2) / Q(x^2); the argument is bounded where the function has reached +-1 in binary32.
template <class T>
QUOIN_INLINE typename T::F tanh(typename T::F x) {
  using F = typename T::F;
  const F v = T::min(T::set1(7.90531110763549805f), T::max(T::set1(-7.90531110763549805f), x)), s = v * v;
  F p = T::set1(-2.76076847742355e-16f);
  p = T::fma(p, s, T::set1(2.00018790482477e-13f));
  p = T::fma(p, s, T::set1(-8.60467152213735e-11f));
  p = T::fma(p, s, T::set1(5.12229709037114e-08f));
  p = T::fma(p, s, T::set1(1.48572235717979e-05f));
  p = T::fma(p, s, T::set1(6.37261928875436e-04f));
  p = T::fma(p, s, T::set1(4.89352455891786e-03f));
  F q = T::set1(1.19825839466702e-06f);
  q = T::fma(q, s, T::set1(1.18534705686654e-04f));
  q = T::fma(q, s, T::set1(2.26843463243900e-03f));
  q = T::fma(q, s, T::set1(4.89352518554385e-03f));
  return v * p / q;
}

template <class T>
QUOIN_INLINE typename T::F erf(typename T::F x) {
  using F = typename T::F;
  const F v = T::min(T::set1(4), T::max(T::set1(-4), x)), s = v * v;
  F p = T::set1(-2.72614225801306e-10f);
  p = T::fma(p, s, T::set1(2.77068142495902e-08f));
  p = T::fma(p, s, T::set1(-2.10102402082508e-06f));
  p = T::fma(p, s, T::set1(-5.69250639462346e-05f));
  p = T::fma(p, s, T::set1(-7.34990630326855e-04f));
  p = T::fma(p, s, T::set1(-2.95459980854025e-03f));
  p = T::fma(p, s, T::set1(-1.60960333262415e-02f));
  F q = T::set1(-1.45660718464996e-05f);
  q = T::fma(q, s, T::set1(-2.13374055278905e-04f));
  q = T::fma(q, s, T::set1(-1.68282697438203e-03f));
  q = T::fma(q, s, T::set1(-7.37332916720468e-03f));
  q = T::fma(q, s, T::set1(-1.42647390514189e-02f));
  return v * p / q;
}

}  // namespace
}  // namespace quoin::cpu
