// How well a language model predicts given texts, and how far its predictions are from another model's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/diagnostics.hpp"
#include "generate/step_model.hpp"

namespace quoin::generate {

// A row that fits into the window is read as it is, with nothing before it: all of its tokens but the first are scored.
// A longer one is read in windows that begin every `stride` tokens; a window scores the tokens that no earlier one
// scored.
struct ScoreOptions {
  int64_t window = 0;  // tokens that are read at once; 0: the model's context
  int64_t stride = 0;  // 0: half of the window
};

// Of the model's distribution q against that of another model, p, at every scored token.
struct Comparison {
  double kl_mean = 0, kl_p99 = 0, kl_max = 0;  // sum of p log(p / q), natural logarithm
  double top1_agreement = 0;                   // share of tokens where both models expect the same one most
  double perplexity = 0;                       // of the other model
};

struct TextScore {
  size_t rows = 0, tokens = 0;  // read
  size_t scored = 0;            // predicted
  double perplexity = 0;        // exp of the mean of -log q(token) over all scored tokens of all rows
  double seconds = 0;           // in the model only
  std::optional<Comparison> against;
};

// Errors: usage (window or stride out of range; the models' vocabularies differ), data (no row has two tokens),
// internal (a logit is NaN or Inf), cancelled, those of the models.
Result<TextScore> score_text(StepModel& model, StepModel* against, const std::vector<std::vector<int64_t>>& rows,
                             const ScoreOptions& options, Progress* progress, Diagnostics& diagnostics);

}  // namespace quoin::generate
