#include "conform/compare.hpp"

#include <cmath>
#include <cstring>

namespace quoin::conform {
namespace {

struct Worst {
  size_t at = 0, count = 0;  // of the element, and how many are off
  double excess = 0;         // over what is allowed
};

// `off(i)` is how far element i is beyond the tolerance, at most 0 when it is not.
template <class Off>
Worst worst_of(size_t count, Off off) {
  Worst worst;
  for (size_t i = 0; i < count; ++i) {
    const double excess = off(i);
    if (!(excess > 0)) continue;
    ++worst.count;
    if (excess <= worst.excess) continue;
    worst.excess = excess;
    worst.at = i;
  }
  return worst;
}

template <class T>
std::string integers(const Tensor& expected, const Tensor& found, int steps) {
  const auto x = expected.as<T>(), y = found.as<T>();
  const auto distance = [&](size_t i) { return std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])); };
  const Worst worst = worst_of(x.size(), [&](size_t i) { return distance(i) - steps; });
  if (worst.count == 0) return {};
  return fmt::format("element {} of {}: {}, expected {} ({} steps, allowed {}; {} of {} elements are off)", worst.at,
                     to_string(expected.shape()), static_cast<int64_t>(y[worst.at]), static_cast<int64_t>(x[worst.at]),
                     distance(worst.at), steps, worst.count, x.size());
}

std::string floats(const Tensor& expected, const Tensor& found, const Tolerance& tolerance) {
  const auto x = expected.as<float>(), y = found.as<float>();
  double largest = tolerance.magnitude;
  for (const float value : x)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(double{value}));
  const auto off = [&](size_t i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) return 0.0;
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) return HUGE_VAL;
    const double allowed = tolerance.relative * (std::abs(double{x[i]}) + largest) + tolerance.step * tolerance.steps;
    return std::abs(double{x[i]} - double{y[i]}) - allowed;
  };
  const Worst worst = worst_of(x.size(), off);
  if (worst.count == 0) return {};
  return fmt::format("element {} of {}: {}, expected {} ({} of {} elements are off)", worst.at,
                     to_string(expected.shape()), y[worst.at], x[worst.at], worst.count, x.size());
}

}  // namespace

std::string difference(const Tensor& expected, const Tensor& found, const Tolerance& tolerance) {
  if (expected.dtype() != found.dtype() || expected.shape() != found.shape())
    return fmt::format("{}{}, expected {}{}", name(found.dtype()), to_string(found.shape()), name(expected.dtype()),
                       to_string(expected.shape()));
  switch (expected.dtype()) {
    case DType::f32:
      return floats(expected, found, tolerance);
    case DType::s8:
      return integers<int8_t>(expected, found, tolerance.steps);
    case DType::u8:
    case DType::boolean:
      return integers<uint8_t>(expected, found, tolerance.steps);
    case DType::s16:
      return integers<int16_t>(expected, found, tolerance.steps);
    case DType::u16:
      return integers<uint16_t>(expected, found, tolerance.steps);
    case DType::s32:
      return integers<int32_t>(expected, found, tolerance.steps);
    case DType::s64:
      return integers<int64_t>(expected, found, tolerance.steps);
    default:
      return same_bytes(expected, found) ? "" : fmt::format("bytes of type {} differ", name(expected.dtype()));
  }
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

Tensor copy_of(const Tensor& tensor) {
  Tensor out(tensor.dtype(), tensor.shape());
  if (tensor.bytes() != 0) std::memcpy(out.data(), tensor.data(), tensor.bytes());
  return out;
}

}  // namespace quoin::conform
