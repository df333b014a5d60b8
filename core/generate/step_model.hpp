// What writing and scoring text need of a language model.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "ops/tensor.hpp"

namespace quoin::generate {

// Remembers what it has read: the key/value cache, one row per position. Tokens may be read again from any position on;
// what lies behind it is forgotten.
class StepModel {
 public:
  virtual ~StepModel() = default;
  virtual int64_t vocabulary() const = 0;   // logits per token
  virtual int64_t context() const = 0;      // positions are 0 .. context() - 1
  virtual int64_t chunk() const = 0;        // most tokens of one read()
  virtual int64_t score_chunk() const = 0;  // most tokens of one score(); 0: the model cannot score
  // Reads 1 .. chunk() tokens at positions first, first + 1 ...: logits f32 [1, vocabulary] of what follows the last
  // one. Precondition: first + tokens.size() <= context(), and the positions before `first` were read.
  virtual Result<Tensor> read(std::span<const int64_t> tokens, int64_t first) = 0;
  // The same for every token: f32 [tokens.size(), vocabulary].
  virtual Result<Tensor> score(std::span<const int64_t> tokens, int64_t first) = 0;
};

}  // namespace quoin::generate
