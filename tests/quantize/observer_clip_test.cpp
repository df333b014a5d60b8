// Observers that search for a range: against direct searches over the elements.
#include <cmath>
#include <numeric>
#include <quoin/numerics.hpp>

#include "quantize/clip_search.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::ok;

Spec spec(const std::string& observer, bool symmetric = false) {
  Spec out;
  out.observer = observer;
  out.symmetric = symmetric;
  if (symmetric) out.qmin = -127;
  return out;
}
Spec rows(Scheme scheme) {
  Spec out = spec("mse", true);
  out.qmin = -8;
  out.qmax = 7;
  out.scheme = scheme;
  if (scheme == Scheme::per_channel) out.axis = 0;
  if (scheme == Scheme::per_group) out.group = 4;
  if (scheme == Scheme::per_block) out.block = {1, 4};
  return out;
}

// Normal numbers, one of them replaced by an outlier.
Tensor bell(float outlier, size_t count = 20000) {
  Tensor out(DType::f32, {static_cast<int64_t>(count)});
  std::mt19937 engine(5);
  std::normal_distribution<float> normal;
  for (float& x : out.as<float>()) x = normal(engine);
  out.as<float>()[7] = outlier;
  return out;
}

QParams observe(const Spec& spec, const Tensor& tensor) {
  auto observer = ok(make_observer(spec));
  ok(observer->observe(tensor));
  return ok(observer->qparams());
}

double error(const Tensor& tensor, const QParams& q) {
  double sum = 0;
  for (const float x : tensor.as<float>()) {
    const int32_t code = numerics::quantize(x, 1.0f / q.scale[0], q.zero_point_at(0), q.qmin, q.qmax);
    const double rest = static_cast<double>(x) - numerics::dequantize(code, q.scale[0], q.zero_point_at(0));
    sum += rest * rest;
  }
  return sum;
}

TEST(Mse, IsNeverWorseThanTheWholeRangeAndCutsOutliers) {
  for (const bool symmetric : {true, false}) {
    for (const float outlier : {0.0f, 8.0f, -30.0f, 200.0f}) {
      const Tensor tensor = bell(outlier);
      const double whole = error(tensor, observe(spec("minmax", symmetric), tensor));
      const double found = error(tensor, observe(spec("mse", symmetric), tensor));
      EXPECT_LE(found, whole * 1.01) << outlier << symmetric;
    }
  }
  Spec narrow = spec("mse", true);
  narrow.qmin = -7;
  narrow.qmax = 7;
  Spec whole = narrow;
  whole.observer = "minmax";
  const Tensor tensor = bell(0);
  EXPECT_LT(error(tensor, observe(narrow, tensor)), 0.8 * error(tensor, observe(whole, tensor)));
}
TEST(Mse, OfTheHistogramIsThatOfTheElements) {
  const Tensor tensor = bell(6);
  DyadicHistogram histogram;
  ok(histogram.add(tensor.as<float>(), nullptr));
  const SquaredError estimate(histogram);
  for (const float reach : {6.0f, 4.0f, 2.0f, 0.5f}) {
    const Range range{-reach, reach};
    const QParams q = ok(choose_qparams(spec("mse", true), std::span(&range, 1)));
    const double expected = error(tensor, q);
    EXPECT_NEAR(estimate(Grid({q.scale[0], q.zero_point_at(0)}, spec("mse", true))), expected, 0.03 * expected)
        << reach;
  }
}
TEST(Mse, PerChannelGroupAndBlockTakesTheBestFactorOfEach) {
  const Tensor weights = test::random_tensor({6, 8}, 11, -2, 2);
  for (const Scheme scheme : {Scheme::per_channel, Scheme::per_group, Scheme::per_block}) {
    const Spec own = rows(scheme);
    const QParams found = observe(own, weights);
    const size_t width = scheme == Scheme::per_channel ? 8 : 4;
    ASSERT_EQ(found.scale.size(), 48 / width);
    for (size_t i = 0; i < found.scale.size(); ++i) {
      const auto piece = weights.as<float>().subspan(i * width, width);
      float reach = 0;
      for (const float x : piece) reach = std::max(reach, std::fabs(x));
      double best = std::numeric_limits<double>::infinity();
      float best_scale = 0;
      for (int factor = 128; factor > 0; --factor) {
        const float scale = reach * (static_cast<float>(factor) / 128) / 7.5f;
        double sum = 0;
        for (const float x : piece) {
          const double step =
              std::clamp(std::nearbyint(static_cast<double>(x) / static_cast<double>(scale)), -8.0, 7.0);
          sum += std::pow(static_cast<double>(x) - step * static_cast<double>(scale), 2);
        }
        if (sum < best) best = sum, best_scale = scale;
      }
      EXPECT_FLOAT_EQ(found.scale[i], best_scale) << i;
    }
  }
}
TEST(Mse, WithMoreScalesObservesOnlyWeights) {
  test::Model model;
  const auto x = model.input({2, 8});
  const auto relu = model.add("aten.relu.default", {x});
  model.graph.set_outputs({model.value(relu)});
  model.annotate(test::out(relu), rows(Scheme::per_channel));
  Prepared prepared = model.prepared();
  const test::Samples samples({{test::random_tensor({2, 8}, 1)}});
  const auto status =
      calibrate(model.graph, prepared, &samples, kernels::KernelSet(), test::host(), nullptr, model.diagnostics);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::recipe);
  EXPECT_TRUE(test::mentions(status.error(), "weights only"));
}

TEST(Percentile, KeepsTheShareAsked) {
  Tensor ramp(DType::f32, {10000});
  std::iota(ramp.as<float>().begin(), ramp.as<float>().end(), 1.0f);
  Spec own = spec("percentile");
  own.observer_params["percent"] = 99.0;  // 50 elements may go at each end, none at the lower one: 0 is in every range
  EXPECT_NEAR(observe(own, ramp).scale[0] * 255, 9950, 4);
  own.symmetric = true;
  EXPECT_NEAR(observe(own, ramp).scale[0] * 127.5, 9900, 4);
  own.observer_params["percent"] = int64_t{100};
  EXPECT_FLOAT_EQ(observe(own, ramp).scale[0] * 127.5f, 10000);
}
TEST(Percentile, OfMagnitudesCountsBothSigns) {
  Spec own = spec("percentile", true);
  own.observer_params["percent"] = 99.9;
  const QParams found = observe(own, bell(-500, 100000));
  EXPECT_NEAR(found.scale[0] * 127, 3.29, 0.3);  // of a normal distribution, 0.1 % lies outside of 3.29
}
TEST(Percentile, RefusesSharesOutsideOfItsLimits) {
  Spec own = spec("percentile");
  for (const double percent : {50.0 - 1e-9, 100.5, -1.0}) {
    own.observer_params["percent"] = percent;
    EXPECT_FALSE(make_observer(own)) << percent;
  }
}

// As the definition says, over all elements and in another order of operations.
double divergence(const DyadicHistogram& histogram, const Grid& grid) {
  std::map<double, std::pair<double, double>> steps;  // mass, bins
  std::vector<std::pair<double, double>> inside;      // step, count
  double below = 0, above = 0, total = 0, kept = 0;
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    const auto count = static_cast<double>(histogram.counts()[i]);
    if (count == 0) continue;
    const double middle = (static_cast<double>(histogram.first()) + static_cast<double>(i) + 0.5) * histogram.width();
    total += count;
    const double step = middle / grid.scale;
    if (step < grid.low - 0.5) {
      below += count;
    } else if (step > grid.high + 0.5) {
      above += count;
    } else {
      inside.emplace_back(grid.step_of(middle), count);
      auto& [mass, bins] = steps[inside.back().first];
      mass += count, bins += 1, kept += count;
    }
  }
  double sum = 0;
  for (size_t i = 0; i < inside.size(); ++i) {
    const double p = (inside[i].second + (i == 0 ? below : 0) + (i + 1 == inside.size() ? above : 0)) / total;
    const auto [mass, bins] = steps[inside[i].first];
    sum += p * std::log(p / (mass / bins / kept));
  }
  return sum;
}

TEST(Entropy, IsTheDivergenceOfItsDefinition) {
  DyadicHistogram histogram;
  ok(histogram.add(bell(-9).as<float>(), nullptr));
  const Divergence cost(histogram);
  for (const double scale : {0.01, 0.02, 0.05, 0.3}) {
    const Grid grid({static_cast<float>(scale), 3}, spec("entropy"));
    EXPECT_NEAR(cost(grid), divergence(histogram, grid), 1e-9) << scale;
  }
}
TEST(Entropy, CutsOutliersAndKeepsUniformData) {
  for (const bool symmetric : {true, false}) {
    const Tensor outlier = bell(60, 200000);
    EXPECT_LT(observe(spec("entropy", symmetric), outlier).scale[0],
              0.5f * observe(spec("minmax", symmetric), outlier).scale[0]);
    const Tensor uniform = test::random_tensor({200000}, 2);
    EXPECT_GT(observe(spec("entropy", symmetric), uniform).scale[0],
              0.95f * observe(spec("minmax", symmetric), uniform).scale[0]);
  }
}
TEST(Entropy, ZerosHaveNoInfluence) {
  const Tensor tensor = bell(12, 50000);
  auto with_zeros = ok(make_observer(spec("entropy")));
  ok(with_zeros->observe(tensor));
  ok(with_zeros->observe(Tensor(DType::f32, {1000000})));
  EXPECT_EQ(ok(with_zeros->qparams()), observe(spec("entropy"), tensor));
}
TEST(Search, OfConstantDataKeepsValidQparams) {
  for (const char* name : {"mse", "percentile", "entropy"}) {
    for (const float value : {0.0f, 3.0f, -2.0f}) {
      const QParams found = observe(spec(name), floats({3}, {value, value, value}));
      EXPECT_GT(found.scale[0], 0) << name;
      const int32_t code = numerics::quantize(value, 1.0f / found.scale[0], found.zero_point_at(0), -128, 127);
      EXPECT_NEAR(numerics::dequantize(code, found.scale[0], found.zero_point_at(0)), value, 0.02f) << name << value;
    }
  }
}
TEST(Search, OneSidedDataKeepsItsZeroPointAtTheEnd) {
  Tensor positive = bell(0);
  for (float& x : positive.as<float>()) x = std::fabs(x);
  for (const char* name : {"mse", "percentile", "entropy"})
    EXPECT_EQ(observe(spec(name), positive).zero_point_at(0), -128) << name;
}

}  // namespace
}  // namespace quoin::quantize
