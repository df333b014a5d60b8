#pragma once

#include "ops/tensor.hpp"

namespace quoin::passes {

// start, start + step, ... as f32.
inline Tensor ramp(Shape shape, float start, float step) {
  Tensor tensor(DType::f32, std::move(shape));
  float value = start;
  for (float& v : tensor.as<float>()) {
    v = value;
    value += step;
  }
  return tensor;
}

}  // namespace quoin::passes
