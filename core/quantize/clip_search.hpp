// Searches for the range that costs least, among those that a grid of factors cuts out of the range seen.
#pragma once

#include <cmath>
#include <limits>

#include "quantize/dyadic_histogram.hpp"

namespace quoin::quantize {

// A scale and zero point as the real numbers they can represent: steps * scale, steps from low to high, 0 among them.
struct Grid {
  Grid(const numerics::Affine& affine, const Spec& spec)
      : scale(static_cast<double>(affine.scale)),
        low(static_cast<double>(spec.qmin) - affine.zero_point),
        high(static_cast<double>(spec.qmax) - affine.zero_point) {}
  double step_of(double x) const { return std::min(std::max(std::nearbyint(x / scale), low), high); }
  double scale, low, high;
};

// The candidates are [min * a, max * b] with a, b from 1, 127/128, ..., 1/128; a = b when the spec is symmetric. Else b
// is searched with a fixed, then a with b fixed, until neither moves. Of equal costs the wider range wins.
// cost(const Grid&): lower is better, infinite excludes. Errors (data): as choose_affine of the whole range.
template <class Cost>
Result<Range> search_clip(const Spec& spec, Range whole, const Cost& cost) {
  constexpr int kFactors = 128, kMostRounds = 8;
  const Range seen{std::min(whole.min, 0.0f), std::max(whole.max, 0.0f)};
  const auto clipped = [&](int a, int b) {
    return Range{seen.min * (static_cast<float>(a) / kFactors), seen.max * (static_cast<float>(b) / kFactors)};
  };
  QUOIN_TRY(const auto start, choose_affine(spec, seen));
  double best = cost(Grid(start, spec));
  int low = kFactors, high = kFactors;
  const auto sweep = [&](bool move_low, bool move_high) {
    const int from_low = low, from_high = high;
    for (int factor = kFactors; factor > 0; --factor) {
      const int a = move_low ? factor : from_low, b = move_high ? factor : from_high;
      const auto affine = choose_affine(spec, clipped(a, b));
      const double found = affine ? cost(Grid(*affine, spec)) : best;
      if (found < best) best = found, low = a, high = b;
    }
    return low != from_low || high != from_high;
  };
  if (spec.symmetric) {
    sweep(true, true);
    return clipped(low, high);
  }
  for (int round = 0; round < kMostRounds; ++round) {
    const bool moved_high = seen.max > 0 && sweep(false, true), moved_low = seen.min < 0 && sweep(true, false);
    if (!moved_high && !moved_low) break;
  }
  return clipped(low, high);
}

// Sum of (x - quantized x)^2 over the elements; those of a bin are taken as spread evenly over it, zeros cost nothing.
class SquaredError {
 public:
  explicit SquaredError(const DyadicHistogram& histogram);
  double operator()(const Grid& grid) const;

 private:
  struct Bin {
    double begin, count;
  };
  std::vector<Bin> bins_;  // those that are not empty
  double width_;
};

// Kullback-Leibler divergence of the clipped distribution P from its quantized form Q (in nats): P are the bins inside
// of the range, what lies outside counts in the outermost of them; Q spreads the inside elements of every step evenly
// over its bins that are not empty. Zeros are left out. Infinite when a step is narrower than a bin.
// Source: S. Migacz, 8-bit Inference with TensorRT (GTC 2017), for any grid instead of 128 positive steps.
class Divergence {
 public:
  explicit Divergence(const DyadicHistogram& histogram);
  double operator()(const Grid& grid) const;

 private:
  struct Bin {
    double middle, count, entropy;  // entropy: count * log(count)
  };
  std::vector<Bin> bins_;  // those that are not empty, ascending
  double total_ = 0, width_;
};

// The range that leaves at most (100 - percent) percent of the elements outside: half of them at each end, or, when the
// spec is symmetric, those of the largest magnitude. Ends lie on bin edges, or on the smallest and largest element.
Range percentile_range(const DyadicHistogram& histogram, double percent, bool symmetric);

}  // namespace quoin::quantize
