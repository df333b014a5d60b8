// Weights that are calibrated by the inputs of their layer.
#include "source/gptq.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/services.hpp"
#include "source/layer.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

constexpr int64_t kRows = 20, kColumns = 48;

Moments moments_of(const Tensor& x, const Tensor& f) {
  Moments out(x.shape()[1]);
  const auto rows = [](const Tensor& tensor) {
    return Rows(tensor.as<float>().data(), tensor.shape()[0], tensor.shape()[1]);
  };
  const Status added = out.add(rows(x), rows(f), nn::test::host());
  EXPECT_TRUE(added) << added.error().text();
  return out;
}
Moments moments_of(const Tensor& x) { return moments_of(x, x); }

LayerConfig gptq_config(GptqConfig options = {}) {
  LayerConfig config = weights(3, 16, Algorithm::gptq);
  config.gptq = options;
  return config;
}
// GPTQ as published.
constexpr GptqConfig kPublished{.act_order = false, .sweeps = 0, .correction = 0, .clip = false};

struct Layer {
  Tensor weight = random({kRows, kColumns}, 4, 0.2f);
  std::optional<Tensor> bias;

  Result<LayerOutput> quantize(const LayerConfig& config, const Moments& moments,
                               const quoin_host& host = nn::test::host()) const {
    QUOIN_TRY(const Grouping grouped, grouping(config, weight.shape()[1]));
    return quantize_layer({weight, bias, config, grouped, &moments}, host);
  }
  // Of the outputs, against those of the float layer on f.
  double error(const LayerConfig& config, const Tensor& x, const Tensor& f) const {
    const LayerOutput out = must(quantize(config, moments_of(x, f)));
    return squared_distance(product(x, reals(out.weight)), product(f, weight.as<float>()));
  }
  double error(const LayerConfig& config, const Tensor& x) const { return error(config, x, x); }
};

TEST(Gptq, LowersTheErrorOfOutputs) {
  const Layer layer;
  const Tensor x = correlated(400, kColumns, 1);
  const double plain = layer.error(weights(3, 16), x), published = layer.error(gptq_config(kPublished), x);
  EXPECT_LT(published, 0.6 * plain);
  GptqConfig clip = kPublished, sweeps = kPublished;
  clip.clip = true;
  EXPECT_LT(layer.error(gptq_config(clip), x), published);
  sweeps.sweeps = 4;
  EXPECT_LT(layer.error(gptq_config(sweeps), x), published);
  EXPECT_LT(layer.error(gptq_config(), x), 0.4 * plain);
}

TEST(Gptq, HelpsOnInputsItHasNotSeen) {
  const Layer layer;
  const Tensor seen = correlated(400, kColumns, 1), unseen = correlated(200, kColumns, 77);
  const auto error = [&](const LayerConfig& config) {
    const LayerOutput out = must(layer.quantize(config, moments_of(seen)));
    return squared_distance(product(unseen, reals(out.weight)), product(unseen, layer.weight.as<float>()));
  };
  EXPECT_LT(error(gptq_config()), 0.5 * error(weights(3, 16)));
}

// Inputs of which only one is not zero at a time.
Tensor independent(int64_t columns) {
  Tensor x(DType::f32, {columns, columns});
  for (int64_t i = 0; i < columns; ++i)
    x.as<float>()[static_cast<size_t>(i * columns + i)] = 0.5f + static_cast<float>(i % 7);
  return x;
}

TEST(Gptq, RoundsToNearestWhereInputsAreIndependent) {
  const Layer layer;
  const Moments moments = moments_of(independent(kColumns));
  for (const int64_t group : {int64_t{16}, int64_t{0}})
    for (const WeightMapping mapping :
         {WeightMapping::symmetric, WeightMapping::symmetric_no_clipping, WeightMapping::asymmetric})
      for (const bool act_order : {false, true}) {
        LayerConfig plain = weights(4, group), calibrated = gptq_config(kPublished);
        calibrated.bits = 4;
        calibrated.group = group;
        calibrated.gptq.act_order = act_order;
        plain.mapping = calibrated.mapping = mapping;
        const auto wanted = must(layer.quantize(plain, moments)).weight;
        const auto found = must(layer.quantize(calibrated, moments)).weight;
        EXPECT_EQ(*found.qparams, *wanted.qparams) << summary(calibrated);
        const std::vector<float> a = reals(found), b = reals(wanted);
        for (size_t i = 0; i < a.size(); ++i) {  // halves between two codes may go either way
          const float w = layer.weight.as<float>()[i];
          EXPECT_NEAR(std::fabs(a[i] - w), std::fabs(b[i] - w), 1e-6f) << summary(calibrated) << ' ' << i;
        }
      }
}

Tensor in_order(const Tensor& matrix, const std::vector<size_t>& order) {
  Tensor out(DType::f32, matrix.shape());
  const auto from = matrix.as<float>();
  for (size_t i = 0; i < from.size(); ++i) out.as<float>()[i] = from[i / kColumns * kColumns + order[i % kColumns]];
  return out;
}

TEST(Gptq, WithActOrderDoesNotDependOnTheOrderOfColumns) {
  Layer layer, turned;
  Tensor x = correlated(400, kColumns, 1);
  for (size_t i = 0; i < x.as<float>().size(); ++i) x.as<float>()[i] *= 1 + 0.1f * static_cast<float>(i % kColumns);
  std::vector<size_t> order(kColumns);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::reverse(order);
  turned.weight = in_order(layer.weight, order);
  const auto differing = [&](bool act_order) {
    LayerConfig config = gptq_config(kPublished);
    config.group = 0;
    config.gptq.act_order = act_order;
    const auto straight = codes(must(layer.quantize(config, moments_of(x))).weight.codes);
    const auto back = codes(must(turned.quantize(config, moments_of(in_order(x, order)))).weight.codes);
    size_t count = 0;
    for (size_t i = 0; i < straight.size(); ++i)
      count += straight[i] != back[i / kColumns * kColumns + order[i % kColumns]];
    return count;
  };
  EXPECT_LE(differing(true), 2u) << "but for sums in another order";
  EXPECT_GT(differing(false), 100u);
}

TEST(Gptq, FewSamplesAndDeadInputsAreNoObstacle) {
  Layer layer;
  Tensor x = correlated(5, kColumns, 1);  // a Hessian of rank 5
  for (size_t i = 0; i < x.as<float>().size(); ++i)
    if (i % kColumns == 3) x.as<float>()[i] = 0;
  const LayerOutput out = must(layer.quantize(gptq_config(kPublished), moments_of(x)));
  const std::vector<float> found = reals(out.weight),
                           nearest = reals(must(layer.quantize(weights(3, 16), moments_of(x))).weight);
  for (size_t r = 0; r < kRows; ++r)
    EXPECT_EQ(found[r * kColumns + 3], nearest[r * kColumns + 3]) << "rounded to nearest";
  EXPECT_LT(layer.error(gptq_config(), x), 0.2 * layer.error(weights(3, 16), x));
}

TEST(Gptq, PadsLikeOtherAlgorithms) {
  const Layer layer;
  LayerConfig config = gptq_config();
  config.group = 32;
  const LayerOutput out = must(layer.quantize(config, moments_of(correlated(400, kColumns, 1))));
  ASSERT_EQ(out.weight.codes.shape(), (Shape{kRows, 64}));
  const auto found = codes(out.weight.codes);
  for (size_t i = 0; i < found.size(); ++i)
    if (i % 64 >= kColumns) {
      EXPECT_EQ(found[i], 0) << i;
    }
}

TEST(Gptq, InputsThatCannotBeSquaredAreAnError) {
  const Layer layer;
  Tensor x = correlated(10, kColumns, 1);
  x.as<float>()[7] = 3e38f;
  EXPECT_TRUE(fails_with(layer.quantize(gptq_config(), moments_of(x)), Code::data, "too large to be squared"));
}

// -- what layers before put into the input

TEST(Correction, MakesUpForErrorsInTheInput) {
  const Layer layer;
  const Tensor f = correlated(400, kColumns, 1);
  Tensor x = f;
  x = random(f.shape(), 50, 0.2f);
  for (size_t i = 0; i < f.as<float>().size(); ++i)  // a part that follows from the input, and noise
    x.as<float>()[i] += 0.8f * f.as<float>()[i];
  GptqConfig none, half;
  none.correction = 0;
  half.correction = 0.5;
  const double published = layer.error(gptq_config(none), x, f), some = layer.error(gptq_config(half), x, f),
               full = layer.error(gptq_config(), x, f);
  EXPECT_LT(some, published);
  EXPECT_LT(full, some);
  EXPECT_LT(full, 0.5 * published);
}

TEST(Correction, LeavesWeightsAloneWhereInputsAreExact) {
  const Layer layer;
  const Tensor x = correlated(400, kColumns, 1);
  GptqConfig none;
  none.correction = 0;
  const auto without = must(layer.quantize(gptq_config(none), moments_of(x))).weight;
  const auto with = must(layer.quantize(gptq_config(), moments_of(x))).weight;
  EXPECT_EQ(codes(with.codes), codes(without.codes));
}

TEST(BiasCorrection, KeepsTheMeanOfOutputs) {
  Layer layer;
  layer.bias = random({kRows}, 6);
  Tensor f = correlated(400, kColumns, 1), x = random(f.shape(), 50, 0.05f);
  for (size_t i = 0; i < f.as<float>().size(); ++i) {
    f.as<float>()[i] += 1.5f;
    x.as<float>()[i] += f.as<float>()[i] + 0.1f;
  }
  const auto means = [](const std::vector<double>& outputs) {
    std::vector<double> out(kRows);
    for (size_t i = 0; i < outputs.size(); ++i)
      out[i % kRows] += outputs[i] / static_cast<double>(outputs.size() / kRows);
    return out;
  };
  const auto wanted = means(product(f, layer.weight.as<float>(), &*layer.bias));
  for (const Algorithm algorithm : {Algorithm::gptq, Algorithm::clip_search}) {
    LayerConfig config = weights(3, 16, algorithm);
    const LayerOutput out = must(layer.quantize(config, moments_of(x, f)));
    ASSERT_TRUE(out.bias) << name(algorithm);
    const auto found = means(product(x, reals(out.weight), &*out.bias));
    for (size_t r = 0; r < kRows; ++r) EXPECT_NEAR(found[r], wanted[r], 1e-4) << name(algorithm);
    config.bias_correction = false;
    EXPECT_FALSE(must(layer.quantize(config, moments_of(x, f))).bias);
  }
  layer.bias.reset();
  EXPECT_FALSE(must(layer.quantize(weights(3, 16, Algorithm::gptq), moments_of(x, f))).bias) << "there is none";
}

TEST(Threads, DoNotChangeResults) {
  const host::Services many({.threads = 5, .isa = 0, .log = {}}), one({.threads = 1, .isa = 0, .log = {}});
  Layer layer;
  layer.weight = random({300, kColumns}, 4);
  layer.bias = random({300}, 5);
  const Tensor x = correlated(100, kColumns, 1), f = correlated(100, kColumns, 2);
  const auto moments = [&](const host::Services& services) {
    Moments out(kColumns);
    const auto rows = [](const Tensor& t) { return Rows(t.as<float>().data(), t.shape()[0], t.shape()[1]); };
    EXPECT_TRUE(out.add(rows(x), rows(f), services.table()));
    return out;
  };
  const Moments apart = moments(many), alone = moments(one);
  EXPECT_EQ(apart.second, alone.second);
  EXPECT_EQ(apart.cross, alone.cross);
  for (const Algorithm algorithm :
       {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine, Algorithm::gptq}) {
    const LayerConfig config = weights(4, 16, algorithm);
    const LayerOutput a = must(layer.quantize(config, apart, many.table())),
                      b = must(layer.quantize(config, alone, one.table()));
    EXPECT_EQ(codes(a.weight.codes), codes(b.weight.codes)) << name(algorithm);
    EXPECT_EQ(*a.weight.qparams, *b.weight.qparams) << name(algorithm);
    EXPECT_EQ(nn::test::difference(*a.bias, *b.bias), 0) << name(algorithm);
    EXPECT_EQ(a.weight_error, b.weight_error) << name(algorithm);
  }
}

}  // namespace
}  // namespace quoin::source::test
