// Weights as integers of few bits: numbers worked out with the reference, and what is refused.
#include <gmock/gmock.h>

#include "quantize/intx.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

using ::testing::HasSubstr;

Tensor two_rows() {
  return test::floats({2, 8}, {.1f, -.7f, .33f, 1.4f, -1.5f, .05f, .9f, -.2f, 0, 0, 0, 0, 3, -3, 1, .5f});
}
IntxConfig groups_of_four(WeightMapping mapping, WeightAlgorithm algorithm = WeightAlgorithm::min_max) {
  IntxConfig config;
  config.group = 4;
  config.mapping = mapping;
  config.algorithm = algorithm;
  return config;
}
std::vector<int> codes(const IntxWeight& weight) {
  const auto all = weight.codes.as<int8_t>();
  return {all.begin(), all.end()};
}

TEST(Intx, SymmetricUsesHalfTheSteps) {
  const auto weight = test::ok(quantize_weight(two_rows(), groups_of_four(WeightMapping::symmetric)));
  EXPECT_EQ(codes(weight), (std::vector<int>{1, -4, 2, 7, -8, 0, 4, -1, 0, 0, 0, 0, 7, -8, 2, 1}));
  EXPECT_EQ(weight.qparams.scale, (std::vector<float>{.186666667f, .2f, 1.17549435e-38f, .4f}));
  EXPECT_EQ(weight.qparams.zero_point, (std::vector<int32_t>{0, 0, 0, 0}));
}

TEST(Intx, NoClippingCoversBothEnds) {
  const auto weight = test::ok(quantize_weight(two_rows(), groups_of_four(WeightMapping::symmetric_no_clipping)));
  EXPECT_EQ(codes(weight), (std::vector<int>{0, -4, 2, 7, -8, 0, 5, -1, 0, 0, 0, 0, 7, -7, 2, 1}));
  EXPECT_EQ(weight.qparams.scale, (std::vector<float>{.2f, .1875f, 1.1754944e-38f, .428571433f}));
}

TEST(Intx, LeastSquaresFitsTheScale) {
  const auto config = groups_of_four(WeightMapping::symmetric, WeightAlgorithm::hqq_scale_only);
  const auto weight = test::ok(quantize_weight(two_rows(), config));
  EXPECT_EQ(codes(weight), (std::vector<int>{1, -4, 2, 7, -8, 0, 5, -1, 0, 0, 0, 0, 7, -8, 3, 1}));
  EXPECT_EQ(weight.qparams.scale, (std::vector<float>{.190857157f, .185555562f, 1.1920929e-7f, .394308954f}));
}

TEST(Intx, OneScalePerRowWithoutGroups) {
  IntxConfig config;
  config.group = 0;
  config.bits = 8;
  const auto weight = test::ok(quantize_weight(two_rows(), config));
  EXPECT_EQ(weight.qparams.scheme, Scheme::per_channel);
  EXPECT_EQ(weight.qparams.axis, 0);
  EXPECT_EQ(weight.qparams.scale, (std::vector<float>{1.5f / 127.5f, 3 / 127.5f}));
  EXPECT_EQ(codes(weight)[4], -128);
}

TEST(Intx, CodesFollowTheRoundedScale) {
  IntxConfig config = groups_of_four(WeightMapping::symmetric);
  config.scale_dtype = DType::bf16;
  const auto weight = test::ok(quantize_weight(two_rows(), config));
  EXPECT_EQ(weight.qparams.scale[0], 0.1865234375f) << "0.186666667 in bf16";
}

TEST(Intx, AScaleTooSmallForItsTypeIsTheSmallestNormal) {
  IntxConfig config = groups_of_four(WeightMapping::symmetric);
  config.scale_dtype = DType::f16;
  const auto weight = test::ok(quantize_weight(two_rows(), config));
  EXPECT_EQ(weight.qparams.scale[2], 0x1p-14f);
  EXPECT_EQ(codes(weight)[8], 0);
}

TEST(Intx, RefusesWhatHasNoMeaning) {
  const auto refused = [](const Tensor& weight, const IntxConfig& config) {
    const auto result = quantize_weight(weight, config);
    return result ? "" : result.error().text();
  };
  IntxConfig config;
  config.group = 3;
  EXPECT_THAT(refused(two_rows(), config), HasSubstr("groups of 3 do not divide rows of 8"));
  config = {};
  config.group = 0;
  config.bits = 9;
  EXPECT_THAT(refused(two_rows(), config), HasSubstr("9 bits"));
  config.bits = 1;
  config.mapping = WeightMapping::symmetric_no_clipping;
  EXPECT_THAT(refused(two_rows(), config), HasSubstr("one bit"));
  Tensor bad = two_rows();
  bad.as<float>()[13] = NAN;
  config = {};
  config.group = 0;
  EXPECT_THAT(refused(bad, config), HasSubstr("weight [1, 5] is NaN"));
  EXPECT_THAT(refused(test::floats({2}, {1, 2}), config), HasSubstr("must be an f32 matrix"));
  config.scale_dtype = DType::f16;
  EXPECT_THAT(refused(test::floats({1, 2}, {1e9f, 0}), config), HasSubstr("does not fit f16"));
}

}  // namespace
}  // namespace quoin::quantize
