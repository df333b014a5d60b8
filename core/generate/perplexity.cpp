#include "generate/perplexity.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace quoin::generate {
namespace {

// Logarithms of the probabilities that logits mean: log p[i] = logit[i] - log_sum.
struct Distribution {
  std::span<const float> logits;
  double log_sum = 0;
  size_t best = 0;
  double log_p(size_t i) const { return double{logits[i]} - log_sum; }
};

Result<Distribution> distribution(std::span<const float> logits) {
  Distribution out{logits, 0, 0};
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i]))
      return fail(Code::internal, "the logit of token {} is {}", i, logits[i])
          .hint("the model's weights or scales are broken");
    if (logits[i] > logits[out.best]) out.best = i;
  }
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - double{logits[out.best]});
  out.log_sum = double{logits[out.best]} + std::log(sum);
  return out;
}

double divergence(const Distribution& p, const Distribution& q) {
  double sum = 0;
  for (size_t i = 0; i < p.logits.size(); ++i) sum += std::exp(p.log_p(i)) * (p.log_p(i) - q.log_p(i));
  return std::max(sum, 0.0);  // never below 0 but for rounding
}

// Logits of tokens first .. first + count of a row that begins at `row`.
struct Part {
  std::span<const int64_t> row;
  size_t first, count, scored_from;  // scored_from: targets below it were scored by an earlier window
};

class Scorer {
 public:
  Scorer(StepModel& model, StepModel* against) : model_(model), against_(against) {}

  Status add(const Part& part) {
    const auto tokens = part.row.subspan(part.first, part.count);
    const auto begin = std::chrono::steady_clock::now();
    QUOIN_TRY(const Tensor logits, model_.score(tokens, static_cast<int64_t>(part.first)));
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::optional<Tensor> reference;
    if (against_ != nullptr) {
      QUOIN_TRY(reference, against_->score(tokens, static_cast<int64_t>(part.first)));
    }
    const auto width = static_cast<size_t>(model_.vocabulary());
    for (size_t t = 0; t < part.count; ++t) {
      const size_t target = part.first + t + 1;
      if (target >= part.row.size() || target < part.scored_from) continue;
      const auto token = static_cast<size_t>(part.row[target]);
      QUOIN_TRY(const Distribution q, distribution(logits.as<float>().subspan(t * width, width)));
      loss_ -= q.log_p(token);
      ++scored_;
      if (!reference) continue;
      QUOIN_TRY(const Distribution p, distribution(reference->as<float>().subspan(t * width, width)));
      reference_loss_ -= p.log_p(token);
      divergences_.push_back(divergence(p, q));
      agreeing_ += p.best == q.best ? 1 : 0;
    }
    return {};
  }

  TextScore result() {
    TextScore out;
    const auto count = static_cast<double>(scored_);
    out.scored = scored_;
    out.perplexity = std::exp(loss_ / count);
    out.seconds = seconds_;
    if (against_ == nullptr) return out;
    std::sort(divergences_.begin(), divergences_.end());
    double sum = 0;
    for (const double value : divergences_) sum += value;
    const auto p99 = static_cast<size_t>(std::ceil(0.99 * count)) - 1;
    out.against = Comparison{sum / count, divergences_[p99], divergences_.back(),
                             static_cast<double>(agreeing_) / count, std::exp(reference_loss_ / count)};
    return out;
  }

 private:
  StepModel& model_;
  StepModel* against_;
  double loss_ = 0, reference_loss_ = 0, seconds_ = 0;
  std::vector<double> divergences_;
  size_t scored_ = 0, agreeing_ = 0;
};

struct Plan {
  size_t window, stride, chunk;
};

Result<Plan> plan(const StepModel& model, const StepModel* against, const ScoreOptions& options) {
  int64_t context = model.context(), chunk = model.score_chunk();
  if (against != nullptr) {
    if (against->vocabulary() != model.vocabulary())
      return fail(Code::usage, "the models have {} and {} tokens", model.vocabulary(), against->vocabulary())
          .hint("compare a model with its own float form");
    context = std::min(context, against->context());
    chunk = std::min(chunk, against->score_chunk());
  }
  const int64_t window = options.window == 0 ? context : options.window;
  if (window < 2 || window > context)
    return fail(Code::usage, "the window must be from 2 to the context of {} tokens, found {}", context, window);
  const int64_t stride = options.stride == 0 ? window / 2 : options.stride;
  if (stride < 1 || stride >= window)
    return fail(Code::usage, "the stride must be from 1 to below the window of {} tokens, found {}", window, stride);
  return Plan{static_cast<size_t>(window), static_cast<size_t>(stride), static_cast<size_t>(chunk)};
}

// The windows of a row, as [begin, end).
std::vector<std::pair<size_t, size_t>> windows(size_t size, const Plan& plan) {
  std::vector<std::pair<size_t, size_t>> out;
  for (size_t begin = 0;; begin += plan.stride) {
    out.emplace_back(begin, std::min(begin + plan.window, size));
    if (out.back().second == size) return out;
  }
}

}  // namespace

Result<TextScore> score_text(StepModel& model, StepModel* against, const std::vector<std::vector<int64_t>>& rows,
                             const ScoreOptions& options, Progress* progress, Diagnostics& diagnostics) {
  QUOIN_TRY(const Plan plan, generate::plan(model, against, options));
  size_t total = 0, skipped = 0, done = 0, tokens = 0;
  for (const auto& row : rows) {
    skipped += row.size() < 2 ? 1 : 0;
    if (row.size() < 2) continue;
    tokens += row.size();
    for (const auto& [begin, end] : windows(row.size(), plan)) total += end - begin;
  }
  if (skipped == rows.size()) return fail(Code::data, "no text has two tokens: nothing to predict");
  if (skipped != 0) diagnostics.warn({}, fmt::format("{} texts have fewer than two tokens and are left out", skipped));
  if (progress != nullptr) progress->stage("score tokens", total);
  Scorer scorer(model, against);
  for (const auto& row : rows) {
    if (row.size() < 2) continue;
    size_t scored_from = 1;
    for (const auto& [begin, end] : windows(row.size(), plan)) {
      const std::span<const int64_t> window = std::span(row).subspan(begin, std::min(end + 1, row.size()) - begin);
      for (size_t at = 0; at < end - begin; at += plan.chunk) {
        const size_t count = std::min(plan.chunk, end - begin - at);
        QUOIN_CHECK(scorer.add({window, at, count, scored_from - begin}));
        done += count;
        if (progress != nullptr && !progress->step(done))
          return fail(Code::cancelled, "scoring stopped after {} of {} tokens", done, total);
      }
      scored_from = end + 1;
    }
  }
  TextScore out = scorer.result();
  out.rows = rows.size() - skipped;
  out.tokens = tokens;
  return out;
}

}  // namespace quoin::generate
