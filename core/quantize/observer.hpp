// Observers turn streams of tensors into ranges, ranges into qparams. State is independent of the number of samples.
// Formulas: quoin/numerics.hpp; algorithms: docs/quantization.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/tensor.hpp"
#include "quantize/annotation.hpp"

namespace quoin::quantize {

// Not thread safe; one object per sharing group.
class Observer {
 public:
  virtual ~Observer() = default;
  // f32 tensor. Errors (data): NaN or Inf, with the element's index.
  virtual Status observe(const Tensor& tensor) = 0;
  virtual bool seen() const = 0;
  // Errors (data): nothing observed.
  virtual Result<QParams> qparams() const = 0;
};

// "minmax", "moving_average", "histogram" (per tensor), "minmax" with per_channel specs, "fixed".
// Errors (recipe): unknown observer (nearest given), unknown parameter, or one the spec's scheme does not allow.
Result<std::unique_ptr<Observer>> make_observer(const Spec& spec);
std::vector<std::string> observer_names();

}  // namespace quoin::quantize
