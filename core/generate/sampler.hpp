// Chooses the next token. The same logits, options and seed give the same tokens on every machine.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace quoin::generate {

// In this order: the repetition penalty, the temperature, top_k, top_p, min_p.
struct Sampling {
  double temperature = 0.8;  // logits are divided by it; 0: the most probable token, whatever the rest says
  int64_t top_k = 40;        // only the k most probable tokens; 0: all
  double top_p = 0.95;       // only the most probable ones that have this probability together; 1: all
  double min_p = 0;          // only those with at least this share of the most probable one's probability
  // Positive logits of the last `repeat_window` tokens are divided by it, negative ones multiplied; 1: not.
  double repetition_penalty = 1;
  int64_t repeat_window = 64;
  uint64_t seed = 0;
};
// Errors (usage): an option out of its range, with the range.
Status check(const Sampling& sampling);

// exp(x) for x <= 0, by IEEE operations only: unlike std::exp, the same bits everywhere. Relative error under 1e-14.
double portable_exp(double x);

class Sampler {
 public:
  explicit Sampler(const Sampling& sampling) : sampling_(sampling) {}
  // A token that was read or written: what repetition_penalty looks at.
  void saw(int64_t token);
  // Errors (internal): a logit is NaN or +Inf. Of equal logits the token with the smaller id counts as more probable.
  Result<int64_t> next(std::span<const float> logits);

 private:
  struct Candidate {
    float logit;
    int64_t token;
  };
  std::vector<Candidate> candidates(std::span<const float> logits) const;
  double uniform();  // in [0, 1)

  Sampling sampling_;
  std::deque<int64_t> recent_;
  uint64_t draws_ = 0;
};

}  // namespace quoin::generate
