#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ops/tensor.hpp"

namespace quoin::conform {

// Random numbers that depend on the seed only, not on the standard library.
class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  size_t below(size_t count) { return engine_() % count; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
  }
  bool chance(size_t percent) { return below(100) < percent; }
  float uniform(float low, float high) { return low + (high - low) * static_cast<float>(engine_() >> 8) * 0x1p-24f; }
  template <class T>
  const T& of(const std::vector<T>& items) {
    return items[below(items.size())];
  }
  Tensor tensor(Shape shape, float low, float high) {
    Tensor out(DType::f32, std::move(shape));
    for (float& x : out.as<float>()) x = uniform(low, high);
    return out;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace quoin::conform
