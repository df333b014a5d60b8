#include "source/scales.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "source/threads.hpp"

namespace quoin::source {
namespace {

constexpr size_t kLanes = 8;
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the mantissa

inline float clamped(float x, float low, float high) {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}

// The code minus the zero point.
inline float step(float weight, float inverse, float low, float high) {
  return (clamped(weight * inverse, low, high) + kRounder) - kRounder;
}

// Calls term(lane, i) for all i; the lanes are summed by the caller, so that sums vectorize in a fixed order.
template <class F>
inline void in_lanes(size_t count, const F& term) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) term(lane, i + lane);
  for (; i < count; ++i) term(0, i);
}

float total(const std::array<float, kLanes>& lanes) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

size_t group_size(const QParams& q, int64_t columns) {
  return static_cast<size_t>(q.scheme == Scheme::per_channel ? columns : static_cast<int64_t>(q.group));
}

// body(index of the group, first element of it, its column) for every group, on all threads.
template <class F>
void for_groups(const Tensor& weight, const QParams& q, const quoin_host& host, const F& body) {
  const auto columns = static_cast<size_t>(weight.shape()[1]), group = group_size(q, weight.shape()[1]);
  const size_t grain = std::max<size_t>((size_t{1} << 12) / group, 1);
  in_pieces(host, q.scale.size(), grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) body(i, i * group, i * group % columns);
  });
}

// -- half-quadratic

constexpr double kNorm = 0.7, kBeta = 10, kKappa = 1.01;
constexpr int kTurns = 20;

// The proximal operator of |x|^p: shrinks small errors to 0 and leaves large ones.
double shrink(double x, double beta) {
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return 0;
  return std::copysign(std::max(magnitude - std::pow(magnitude, kNorm - 1) / beta, 0.0), x);
}

struct Solution {
  double scale = 1, zero = 0;  // weight = (code - zero) * scale
};

// One step of a group: codes, then the zero point that explains what the shrunk errors leave. Returns the sum of
// absolute errors before the step.
double proximal_step(std::span<const float> weights, Codes codes, double beta, Solution& s) {
  double error = 0, zero = 0;
  for (const float w : weights) {
    const double x = static_cast<double>(w) / s.scale;
    const double code = std::clamp(std::nearbyint(x + s.zero), double(codes.qmin), double(codes.qmax));
    const double rest = static_cast<double>(w) - (code - s.zero) * s.scale;
    error += std::fabs(rest);
    zero += code - (static_cast<double>(w) - shrink(rest, beta)) / s.scale;
  }
  s.zero = zero / static_cast<double>(weights.size());
  return error;
}

}  // namespace

float GroupRule::rounded(float scale) const {
  std::array<float, 1> one{scale};
  return quantize::round_scales(one, scale_dtype) ? one[0] : INFINITY;
}

numerics::Affine GroupRule::min_max(std::span<const float> weights) const {
  const auto [low, high] = std::ranges::minmax(weights);
  constexpr float kSmallest = std::numeric_limits<float>::min();
  if (mapping != WeightMapping::symmetric_no_clipping)
    return numerics::choose_qparams(low, high, codes.qmin, codes.qmax, mapping == WeightMapping::symmetric, kSmallest);
  const float below = std::min(low, 0.0f) / static_cast<float>(codes.qmin);
  const float above = std::max(high, 0.0f) / static_cast<float>(codes.qmax);
  return {std::max(std::max(below, above), kSmallest), 0};
}

float GroupRule::error(std::span<const float> weights, std::span<const float> importance,
                       numerics::Affine affine) const {
  const float inverse = 1.0f / affine.scale, scale = affine.scale;
  const float low = static_cast<float>(codes.qmin - affine.zero_point);
  const float high = static_cast<float>(codes.qmax - affine.zero_point);
  std::array<float, kLanes> sums{};
  const float *w = weights.data(), *d = importance.data();
  if (importance.empty())
    in_lanes(weights.size(), [&](size_t lane, size_t i) {
      const float rest = w[i] - step(w[i], inverse, low, high) * scale;
      sums[lane] += rest * rest;
    });
  else
    in_lanes(weights.size(), [&](size_t lane, size_t i) {
      const float rest = w[i] - step(w[i], inverse, low, high) * scale;
      sums[lane] += d[i] * (rest * rest);
    });
  return total(sums);
}

numerics::Affine GroupRule::search(std::span<const float> weights, std::span<const float> importance) const {
  constexpr int kSteps = 40;
  constexpr float kWidest = 1.05f, kStep = 0.015f;
  const numerics::Affine widest = min_max(weights);
  numerics::Affine best{rounded(widest.scale), widest.zero_point};
  float least = error(weights, importance, best);
  const auto offer = [&](float scale, int32_t zero) {
    const numerics::Affine affine{rounded(scale), zero};
    if (!std::isfinite(affine.scale)) return;
    const float found = error(weights, importance, affine);
    if (found < least) {
      least = found;
      best = affine;
    }
  };
  for (int i = 0; i < kSteps && least > 0; ++i) {
    const float scale = widest.scale * (kWidest - kStep * static_cast<float>(i));
    if (scale >= std::numeric_limits<float>::min()) offer(scale, widest.zero_point);
  }
  float products = 0, squares = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const float code = step(weights[i], 1.0f / best.scale, static_cast<float>(codes.qmin - best.zero_point),
                            static_cast<float>(codes.qmax - best.zero_point));
    const float d = importance.empty() ? 1.0f : importance[i];
    products += d * (weights[i] * code);
    squares += d * (code * code);
  }
  if (squares > 0 && products / squares >= std::numeric_limits<float>::min())
    offer(products / squares, best.zero_point);
  return best;
}

QParams empty_qparams(Codes codes, int64_t group, int64_t rows, int64_t columns) {
  QParams q;
  q.scheme = group == 0 ? Scheme::per_channel : Scheme::per_group;
  q.axis = group == 0 ? 0 : -1;
  q.group = static_cast<uint32_t>(group);
  q.qmin = codes.qmin;
  q.qmax = codes.qmax;
  q.scale.resize(static_cast<size_t>(group == 0 ? rows : rows * (columns / group)), 1.0f);
  q.zero_point.resize(q.scale.size());
  return q;
}

void search_scales(const Tensor& weight, const LayerConfig& config, std::span<const float> importance, QParams& qparams,
                   const quoin_host& host) {
  const GroupRule rule(config);
  const float* weights = weight.as<float>().data();
  const size_t group = group_size(qparams, weight.shape()[1]);
  for_groups(weight, qparams, host, [&](size_t i, size_t first, size_t column) {
    const auto columns = importance.empty() ? importance : importance.subspan(column, group);
    const auto affine = rule.search({weights + first, group}, columns);
    qparams.scale[i] = affine.scale;
    qparams.zero_point[i] = affine.zero_point;
  });
}

void half_quadratic(const Tensor& weight, const LayerConfig& config, QParams& qparams, const quoin_host& host) {
  GroupRule rule(config);
  rule.mapping = WeightMapping::asymmetric;
  const float* weights = weight.as<float>().data();
  const size_t group = group_size(qparams, weight.shape()[1]);
  for_groups(weight, qparams, host, [&](size_t i, size_t first, size_t) {
    const std::span<const float> part(weights + first, group);
    const numerics::Affine start = rule.min_max(part);
    Solution s{static_cast<double>(start.scale), static_cast<double>(start.zero_point)}, best = s;
    double least = INFINITY, beta = kBeta;
    for (int turn = 0; turn < kTurns; ++turn, beta *= kKappa) {
      const Solution before = s;
      const double error = proximal_step(part, rule.codes, beta, s);
      if (error >= least) break;
      least = error;
      best = before;
    }
    qparams.scale[i] = start.scale;
    qparams.zero_point[i] =
        static_cast<int32_t>(std::clamp(std::nearbyint(best.zero), double(rule.codes.qmin), double(rule.codes.qmax)));
  });
}

}  // namespace quoin::source
