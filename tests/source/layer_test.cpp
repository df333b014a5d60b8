// One weight at a time, without data: what the algorithms promise about scales and codes.
#include "source/layer.hpp"

#include <cmath>

#include "ops/half.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

constexpr int64_t kRows = 24, kColumns = 64;

// Normal numbers with a few that stand out, as trained weights have.
Tensor weight_with_outliers(unsigned seed = 5) {
  Tensor out = random({kRows, kColumns}, seed, 0.1f);
  for (size_t i = 0; i < out.as<float>().size(); i += 97) out.as<float>()[i] *= 6;
  return out;
}

Result<LayerOutput> quantize(const Tensor& weight, const LayerConfig& config, const Moments* moments = nullptr) {
  QUOIN_TRY(const Grouping grouped, grouping(config, weight.shape()[1]));
  return quantize_layer({weight, {}, config, grouped, moments}, nn::test::host());
}

// Sum of importance * error^2 of every group; an empty importance is 1.
std::vector<double> group_errors(const Tensor& weight, const checkpoint::Quantized& quantized,
                                 const std::vector<double>& importance = {}) {
  const std::vector<float> found = reals(quantized);
  const auto wanted = weight.as<float>();
  std::vector<double> out(quantized.qparams->scale.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = static_cast<double>(found[i]) - static_cast<double>(wanted[i]);
    const double factor = importance.empty() ? 1 : importance[i % importance.size()];
    out[i * out.size() / found.size()] += factor * error * error;
  }
  return out;
}

struct Shape4 {
  uint32_t bits;
  int64_t group;
  WeightMapping mapping;
  DType scales = DType::f32;
};
std::vector<Shape4> shapes() {
  std::vector<Shape4> out;
  for (const uint32_t bits : {2u, 3u, 4u, 8u})
    for (const int64_t group : {int64_t{0}, int64_t{16}})
      for (const auto mapping :
           {WeightMapping::symmetric, WeightMapping::symmetric_no_clipping, WeightMapping::asymmetric})
        for (const DType scales : {DType::f32, DType::f16, DType::bf16}) out.push_back({bits, group, mapping, scales});
  return out;
}
LayerConfig config_of(const Shape4& shape, Algorithm algorithm) {
  LayerConfig config = weights(shape.bits, shape.group, algorithm);
  config.mapping = shape.mapping;
  config.scale_dtype = shape.scales;
  return config;
}

Moments moments_of(const Tensor& x) {
  Moments out(x.shape()[1]);
  const Rows rows(x.as<float>().data(), x.shape()[0], x.shape()[1]);
  EXPECT_TRUE(out.add(rows, rows, nn::test::host()));
  return out;
}

TEST(ClipSearch, IsNeverWorseThanMinMaxInAnyGroup) {
  const Tensor weight = weight_with_outliers();
  for (const Shape4& shape : shapes()) {
    SCOPED_TRACE(summary(config_of(shape, Algorithm::clip_search)) + " " + std::string(name(shape.scales)));
    const auto plain = group_errors(weight, must(quantize(weight, config_of(shape, Algorithm::min_max))).weight);
    const auto found = group_errors(weight, must(quantize(weight, config_of(shape, Algorithm::clip_search))).weight);
    ASSERT_EQ(found.size(), plain.size());
    double all = 0, all_found = 0;
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_LE(found[i], plain[i] * (1 + 1e-5)) << i;
      all += plain[i];
      all_found += found[i];
    }
    EXPECT_LT(all_found, all) << "it finds something better for some";
  }
}

TEST(ClipSearch, WeighsErrorsByTheInputs) {
  const Tensor weight = weight_with_outliers();
  Tensor x = random({200, kColumns}, 9);
  for (size_t i = 0; i < x.as<float>().size(); ++i)
    if (i % 4 != 0) x.as<float>()[i] *= 0.05f;
  const Moments moments = moments_of(x);
  std::vector<double> importance(kColumns);
  for (size_t i = 0; i < importance.size(); ++i) importance[i] = moments.mean_square()(static_cast<Eigen::Index>(i));
  const LayerConfig config = weights(3, 16, Algorithm::clip_search);
  const auto sum = [&](const Moments* known) {
    const auto errors = group_errors(weight, must(quantize(weight, config, known)).weight, importance);
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  };
  EXPECT_LT(sum(&moments), 0.9 * sum(nullptr));
}

// torchao's HQQ_SCALE_ONLY: start at |w| / max(|qmin|, qmax), then codes and the least-squares scale in turn, until no
// scale of the whole weight moves by 1e-5 of itself.
std::vector<double> least_squares_scales(const Tensor& weight, int64_t group, double reach) {
  const auto w = weight.as<float>();
  const auto width = static_cast<size_t>(group);
  std::vector<double> scales(w.size() / width);
  for (size_t i = 0; i < w.size(); ++i)
    scales[i / width] = std::max(scales[i / width], std::fabs(static_cast<double>(w[i])) / reach);
  for (int turn = 0; turn < 20; ++turn) {
    double moved = 0;
    for (size_t g = 0; g < scales.size(); ++g) {
      double products = 0, squares = 0;
      for (size_t i = g * width; i < (g + 1) * width; ++i) {
        const double code = std::clamp(std::nearbyint(static_cast<double>(w[i]) / scales[g]), -reach, reach - 1);
        products += static_cast<double>(w[i]) * code;
        squares += code * code;
      }
      moved = std::max(moved, std::fabs(products / squares - scales[g]) / scales[g]);
      scales[g] = products / squares;
    }
    if (moved < 1e-5) break;
  }
  return scales;
}

TEST(Hqq, FollowsTheFormulaOfTheReference) {
  const Tensor weight = weight_with_outliers();
  for (const uint32_t bits : {2u, 4u, 8u}) {
    const auto quantized = must(quantize(weight, weights(bits, 16, Algorithm::hqq))).weight;
    const auto wanted = least_squares_scales(weight, 16, 1 << (bits - 1));
    ASSERT_EQ(quantized.qparams->scale.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(static_cast<double>(quantized.qparams->scale[i]) / wanted[i], 1, 1e-5) << bits << " bits, " << i;
    EXPECT_TRUE(quantized.qparams->zero_point.empty());
  }
}

TEST(HqqAffine, MovesZeroPointsAndImprovesTheError) {
  const Tensor weight = weight_with_outliers();
  const auto absolute = [&](const checkpoint::Quantized& quantized) {
    const std::vector<float> found = reals(quantized);
    double sum = 0;
    for (size_t i = 0; i < found.size(); ++i)
      sum += std::pow(std::fabs(static_cast<double>(found[i]) - static_cast<double>(weight.as<float>()[i])), 0.7);
    return sum;
  };
  for (const uint32_t bits : {2u, 3u, 4u}) {
    LayerConfig plain = weights(bits, 32);
    plain.mapping = WeightMapping::asymmetric;
    const auto before = must(quantize(weight, plain)).weight;
    const auto after = must(quantize(weight, weights(bits, 32, Algorithm::hqq_affine))).weight;
    EXPECT_LT(absolute(after), absolute(before)) << bits;
    ASSERT_FALSE(after.qparams->zero_point.empty());
    for (const int32_t zero : after.qparams->zero_point) {
      EXPECT_GE(zero, -(1 << (bits - 1)));
      EXPECT_LT(zero, 1 << (bits - 1));
    }
  }
}

float in_type(DType dtype, float value) {
  return dtype == DType::f16 ? half_to_float(float_to_half(value)) : bfloat_to_float(float_to_bfloat(value));
}

TEST(Layer, RoundsTheWeightToThePrecisionFirst) {
  const Tensor weight = weight_with_outliers();
  Tensor half = weight_with_outliers();
  for (float& w : half.as<float>()) w = in_type(DType::bf16, w);
  LayerConfig config = weights(8, 0);
  const auto wanted = must(quantize(half, config)).weight;
  config.precision = DType::bf16;
  const auto found = must(quantize(weight, config)).weight;
  EXPECT_EQ(codes(found.codes), codes(wanted.codes));
  EXPECT_EQ(found.qparams->scale, wanted.qparams->scale);
}

TEST(Layer, ScalesAreNumbersOfTheirType) {
  for (const Algorithm algorithm :
       {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine, Algorithm::gptq}) {
    LayerConfig config = weights(4, 16, algorithm);
    const Moments moments = moments_of(correlated(100, kColumns, 3));
    for (const DType dtype : {DType::f16, DType::bf16}) {
      config.scale_dtype = dtype;
      const auto weight = must(quantize(weight_with_outliers(), config, &moments)).weight;
      for (const float scale : weight.qparams->scale) EXPECT_EQ(scale, in_type(dtype, scale)) << name(algorithm);
    }
  }
}

TEST(Layer, TakesTheSmallestTypeThatHoldsTheCodes) {
  const std::map<uint32_t, DType> wanted{
      {1, DType::s2}, {2, DType::s2}, {3, DType::s4}, {4, DType::s4}, {8, DType::s8}};
  for (const auto& [bits, dtype] : wanted) {
    const auto weight = must(quantize(weight_with_outliers(), weights(bits, 32))).weight;
    EXPECT_EQ(weight.codes.dtype(), dtype) << bits;
    EXPECT_EQ(weight.codes.bytes(), static_cast<size_t>(byte_size(dtype, Shape{kRows, kColumns})));
    EXPECT_TRUE(weight.qparams->zero_point.empty()) << "all are zero";
  }
}

TEST(Layer, PaddedColumnsStandForZeroAndCountNothing) {
  const Tensor weight = random({kRows, 40}, 8);
  for (const Algorithm algorithm :
       {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine}) {
    const LayerOutput out = must(quantize(weight, weights(4, 32, algorithm)));
    ASSERT_EQ(out.weight.codes.shape(), (Shape{kRows, 64})) << name(algorithm);
    const std::vector<float> found = reals(out.weight);
    double error = 0, square = 0;
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < 64; ++c) {
        const auto value = static_cast<double>(found[static_cast<size_t>(r * 64 + c)]);
        const double w = c < 40 ? static_cast<double>(weight.as<float>()[static_cast<size_t>(r * 40 + c)]) : value;
        if (c >= 40) {
          EXPECT_EQ(value, 0) << r << ' ' << c;
        }
        error += (w - value) * (w - value);
        square += c < 40 ? w * w : 0;
      }
    EXPECT_NEAR(out.weight_error, std::sqrt(error / square), 1e-5) << name(algorithm);
  }
}

TEST(Layer, WeightsThatAreNoNumbersAreNamed) {
  for (const float bad : {NAN, -INFINITY}) {
    Tensor weight = weight_with_outliers();
    weight.as<float>()[5 * kColumns + 11] = bad;
    for (const Algorithm algorithm :
         {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine})
      EXPECT_TRUE(fails_with(quantize(weight, weights(4, 16, algorithm)), Code::data,
                             std::isnan(bad) ? "weight [5, 11] is NaN" : "weight [5, 11] is infinite"));
  }
}

TEST(Layer, WhatDoesNotFitATypeIsAnError) {
  Tensor weight = weight_with_outliers();
  weight.as<float>()[70] = 1e7f;
  LayerConfig config = weights(4, 16);
  config.precision = DType::f16;
  EXPECT_TRUE(fails_with(quantize(weight, config), Code::data, "weight [1, 6] is infinite"));
  config.precision = DType::f32;
  config.scale_dtype = DType::f16;
  for (const Algorithm algorithm :
       {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine}) {
    config.algorithm = algorithm;
    EXPECT_TRUE(fails_with(quantize(weight, config), Code::data, "does not fit f16")) << name(algorithm);
  }
  EXPECT_TRUE(fails_with(quantize(Tensor(DType::s8, {2, 32}), weights(4, 16)), Code::input, "must be an f32 matrix"));
}

TEST(Layer, GroupsOfZerosStandForZero) {
  const Tensor weight(DType::f32, {3, 32});
  for (const Algorithm algorithm : {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine})
    for (const DType scales : {DType::f32, DType::f16, DType::bf16}) {
      LayerConfig config = weights(4, 16, algorithm);
      config.scale_dtype = scales;
      const LayerOutput out = must(quantize(weight, config));
      for (const float value : reals(out.weight)) EXPECT_EQ(value, 0);
      for (const float scale : out.weight.qparams->scale) EXPECT_TRUE(scale > 0 && std::isfinite(1 / scale));
      EXPECT_EQ(out.weight_error, 0);
    }
}

}  // namespace
}  // namespace quoin::source::test
