#include "generate/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace quoin::generate {
namespace {

Status in_range(double value, double low, double high, const char* name) {
  if (value >= low && value <= high) return {};
  return fail(Code::usage, "{} must be from {} to {}, found {}", name, low, high, value);
}

// splitmix64 (Steele, Lea, Flood 2014): a well mixed number of a counter.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Status check(const Sampling& sampling) {
  QUOIN_CHECK(in_range(sampling.temperature, 0, 100, "temperature"));
  QUOIN_CHECK(in_range(sampling.top_p, 0, 1, "top-p"));
  QUOIN_CHECK(in_range(sampling.min_p, 0, 1, "min-p"));
  QUOIN_CHECK(in_range(sampling.repetition_penalty, 0.01, 100, "repetition penalty"));
  if (sampling.top_p == 0) return fail(Code::usage, "top-p must be above 0");
  if (sampling.top_k < 0) return fail(Code::usage, "top-k must be at least 0 (all tokens), found {}", sampling.top_k);
  if (sampling.repeat_window < 0)
    return fail(Code::usage, "repeat window must be at least 0, found {}", sampling.repeat_window);
  return {};
}

// exp(x) = 2^k exp(r), |r| <= ln(2) / 2, Taylor series of 14 terms.
double portable_exp(double x) {
  // log 2 in two parts (Cody and Waite): products of the first with any k are exact.
  constexpr double kHigh = 0x1.62e42feep-1, kLow = 0x1.a39ef35793c76p-33, kLowest = -700;
  if (!(x > kLowest)) return 0;
  const double k = std::nearbyint(x / (kHigh + kLow));
  const double r = (x - k * kHigh) - k * kLow;
  double sum = 1;
  for (int term = 14; term > 0; --term) sum = 1 + sum * r / term;
  return std::ldexp(sum, static_cast<int>(k));
}

void Sampler::saw(int64_t token) {
  recent_.push_back(token);
  while (static_cast<int64_t>(recent_.size()) > sampling_.repeat_window) recent_.pop_front();
}

std::vector<Sampler::Candidate> Sampler::candidates(std::span<const float> logits) const {
  std::vector<Candidate> out(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) out[i] = {logits[i], static_cast<int64_t>(i)};
  if (sampling_.repetition_penalty == 1) return out;
  const auto penalty = static_cast<float>(sampling_.repetition_penalty);
  for (const int64_t token : std::set<int64_t>(recent_.begin(), recent_.end())) {
    if (token < 0 || token >= static_cast<int64_t>(out.size())) continue;
    float& logit = out[static_cast<size_t>(token)].logit;
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
  return out;
}

double Sampler::uniform() {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  const uint64_t bits = mix(mix(sampling_.seed + kGolden) + kGolden * ++draws_);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Result<int64_t> Sampler::next(std::span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i)
    if (std::isnan(logits[i]) || logits[i] == INFINITY)
      return fail(Code::internal, "the logit of token {} is {}", i, logits[i])
          .hint("the model's weights or scales are broken: compare it with the float model by quoin eval");
  std::vector<Candidate> all = candidates(logits);
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (sampling_.temperature == 0) return std::min_element(all.begin(), all.end(), better)->token;

  if (sampling_.top_k > 0 && sampling_.top_k < static_cast<int64_t>(all.size())) {
    std::nth_element(all.begin(), all.begin() + sampling_.top_k, all.end(), better);
    all.resize(static_cast<size_t>(sampling_.top_k));
  }
  std::sort(all.begin(), all.end(), better);
  std::vector<double> weights;
  double total = 0;
  for (const Candidate& candidate : all) {
    weights.push_back(portable_exp((double{candidate.logit} - double{all[0].logit}) / sampling_.temperature));
    total += weights.back();
  }
  size_t kept = 0;
  double mass = 0;
  while (kept < weights.size() && (kept == 0 || (mass < sampling_.top_p * total && weights[kept] >= sampling_.min_p)))
    mass += weights[kept++];
  double left = uniform() * mass;
  for (size_t i = 0; i + 1 < kept; ++i) {
    left -= weights[i];
    if (left < 0) return all[i].token;
  }
  return all[kept - 1].token;
}

}  // namespace quoin::generate
