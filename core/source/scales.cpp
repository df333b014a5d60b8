#include "source/scales.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

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

// What a step of a group needs to know about its codes, and about the weights less the errors that the proximal
// operator of |x|^p leaves: it shrinks small errors to 0, so that they pull on nothing.
struct Sums {
  double n = 0, codes = 0, weights = 0, squares = 0, products = 0;
  double error = 0;  // of |error|^p

  static Sums of(std::span<const float> group, Codes range, double beta, numerics::Affine affine) {
    Sums out{.n = static_cast<double>(group.size())};
    const double scale = static_cast<double>(affine.scale), zero = affine.zero_point;
    for (const float weight : group) {
      const double real = static_cast<double>(weight);
      const double code = std::clamp(std::nearbyint(real / scale + zero), double(range.qmin), double(range.qmax));
      const double rest = real - (code - zero) * scale, magnitude = std::fabs(rest);
      const double slope = magnitude > 0 ? std::pow(magnitude, kNorm - 1) : 0;
      const double kept = real - std::copysign(std::max(magnitude - slope / beta, 0.0), rest);
      out.codes += code;
      out.weights += kept;
      out.squares += code * code;
      out.products += code * kept;
      out.error += magnitude * slope;
    }
    return out;
  }
};

// The line through the weights over the codes, moved to the nearest whole zero point. Nothing where codes do not
// differ.
std::optional<numerics::Affine> line_through(const Sums& s, Codes range) {
  const double spread = s.squares - s.codes * s.codes / s.n;
  const double slope = spread > 0 ? (s.products - s.codes * s.weights / s.n) / spread : 0;
  if (!(slope > 0)) return std::nullopt;
  const double zero =
      std::clamp(std::nearbyint((s.codes - s.weights / slope) / s.n), double(range.qmin), double(range.qmax));
  const double scale = (s.products - zero * s.weights) / (s.squares - 2 * zero * s.codes + zero * zero * s.n);
  if (!(scale >= static_cast<double>(std::numeric_limits<float>::min()))) return std::nullopt;
  return numerics::Affine{static_cast<float>(scale), static_cast<int32_t>(zero)};
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

numerics::Affine GroupRule::half_quadratic(std::span<const float> weights) const {
  const numerics::Affine widest = min_max(weights);
  numerics::Affine now{rounded(widest.scale), widest.zero_point}, best = now;
  double least = INFINITY, beta = kBeta;
  for (int turn = 0; turn < kTurns && std::isfinite(now.scale); ++turn, beta *= kKappa) {
    const Sums sums = Sums::of(weights, codes, beta, now);
    if (sums.error < least) best = now;
    least = std::min(least, sums.error);
    const auto line = line_through(sums, codes);
    if (!line || least == 0) break;
    const numerics::Affine next{rounded(line->scale), line->zero_point};
    if (next.scale == now.scale && next.zero_point == now.zero_point) break;
    now = next;
  }
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
    const numerics::Affine best = rule.half_quadratic({weights + first, group});
    qparams.scale[i] = best.scale;
    qparams.zero_point[i] = best.zero_point;
  });
}

}  // namespace quoin::source
