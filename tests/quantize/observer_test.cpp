#include "quantize/observer.hpp"

#include <limits>

#include "quantize/torch_math.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::ok;

struct Chosen {
  float scale;
  int32_t zero_point;
};

Spec spec(const std::string& observer, DType dtype = DType::s8, int32_t qmin = -128, int32_t qmax = 127) {
  Spec out;
  out.observer = observer;
  out.dtype = dtype;
  out.qmin = qmin;
  out.qmax = qmax;
  return out;
}

QParams observe(const Spec& spec, const std::vector<Tensor>& batches) {
  auto observer = ok(make_observer(spec));
  for (const Tensor& batch : batches) ok(observer->observe(batch));
  return ok(observer->qparams());
}

void expect(const QParams& found, float scale, int32_t zero_point) {
  EXPECT_FLOAT_EQ(found.scale[0], scale);
  EXPECT_EQ(found.zero_point_at(0), zero_point);
}

const Tensor kSmall = floats({4}, {-1, 0, 1, 3}), kLarge = floats({4}, {-2, 0, 2, 6});

TEST(MinMax, CoversAllBatches) { expect(observe(spec("minmax"), {kSmall, kLarge}), 8.0f / 255, -64); }
TEST(MinMax, SymmetricScaleDependsOnTheRange) {
  Spec symmetric = spec("minmax", DType::s8, -127, 127);
  symmetric.symmetric = true;
  expect(observe(symmetric, {kSmall, kLarge}), 6.0f / 127, 0);
  symmetric.qmin = -128;
  expect(observe(symmetric, {kSmall, kLarge}), 6.0f / 127.5f, 0);
}
TEST(MinMax, SymmetricUnsignedZeroPointIsTheMiddle) {
  Spec symmetric = spec("minmax", DType::u8, 0, 255);
  symmetric.symmetric = true;
  EXPECT_EQ(observe(symmetric, {kSmall}).zero_point_at(0), 127);
  symmetric.default_range = true;
  EXPECT_EQ(observe(symmetric, {kSmall}).zero_point_at(0), 128);
  symmetric.dtype = DType::u16;
  symmetric.qmax = 65535;
  EXPECT_EQ(observe(symmetric, {kSmall}).zero_point_at(0), 32768);
}
TEST(MinMax, SixteenBitsSymmetric) {
  Spec wide = spec("minmax", DType::s16, -32767, 32767);
  wide.symmetric = true;
  expect(observe(wide, {kLarge}), 6.0f / 32767, 0);
}
TEST(MinMax, ZerosGiveTheSmallestScale) {
  expect(observe(spec("minmax"), {floats({3}, {0, 0, 0})}), std::numeric_limits<float>::epsilon(), -128);
  Spec coarse = spec("minmax");
  coarse.eps = 1.0 / 4096;
  expect(observe(coarse, {floats({3}, {0, 0, 0})}), 1.0f / 4096, -128);
}
TEST(MinMax, PowerOfTwoScaleRoundsUp) {
  Spec power = spec("minmax");
  power.pow2_scale = true;
  const QParams found = observe(power, {kLarge});
  expect(found, 1.0f / 16, -128 + 32);
}
TEST(MinMax, PerChannelOfAnyAxis) {
  Spec channels = spec("minmax");
  channels.scheme = Scheme::per_channel;
  channels.axis = 1;
  const QParams found = observe(channels, {floats({2, 3, 1}, {0, 255, -255, 510, 0, 0})});
  EXPECT_EQ(found.scale, (std::vector<float>{2, 1, 1}));
  EXPECT_EQ(found.zero_point, (std::vector<int32_t>{-128, -128, 127}));
  EXPECT_EQ(found.axis, 1);
}
TEST(MinMax, PerGroupOfTheLastAxis) {
  Spec groups = spec("minmax", DType::s8, -8, 7);
  groups.scheme = Scheme::per_group;
  groups.group = 2;
  groups.symmetric = true;
  EXPECT_EQ(observe(groups, {floats({1, 4}, {7.5, 0, -15, 3})}).scale, (std::vector<float>{1, 2}));
}
TEST(MovingAverage, MovesByOneHundredth) {
  expect(observe(spec("moving_average"), {kSmall, kLarge}), (3.03f + 1.01f) / 255, -64);
}
TEST(Observers, IgnoreEmptyTensorsAndRefuseToGuess) {
  for (const char* name : {"minmax", "moving_average", "histogram"}) {
    auto observer = ok(make_observer(spec(name)));
    ok(observer->observe(Tensor(DType::f32, {0, 4})));
    EXPECT_FALSE(observer->seen());
    ASSERT_FALSE(observer->qparams());
    EXPECT_EQ(observer->qparams().error().code, Code::data);
  }
}
TEST(Observers, NameTheFirstBadElement) {
  for (const char* name : {"minmax", "moving_average", "histogram"}) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Tensor tensor = test::random_tensor({100}, 1);
      tensor.as<float>()[37] = bad;
      const auto status = ok(make_observer(spec(name)))->observe(tensor);
      ASSERT_FALSE(status) << name;
      EXPECT_EQ(status.error().code, Code::data);
      EXPECT_TRUE(test::mentions(status.error(), "element 37"));
    }
  }
}
TEST(Observers, RefuseRangesWithoutAFiniteScale) {
  const float huge = std::numeric_limits<float>::max();
  for (const char* name : {"minmax", "histogram"}) {
    auto observer = ok(make_observer(spec(name)));
    const auto status = observer->observe(floats({2}, {-huge, huge}));
    const auto found = status ? observer->qparams() : Result<QParams>(fail(status.error()));
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code, Code::data);
  }
}
TEST(Observers, UnknownNamesAndParametersAreErrors) {
  auto unknown = make_observer(spec("histgram"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::recipe);
  EXPECT_TRUE(test::mentions(unknown.error(), "histogram"));
  Spec wrong = spec("moving_average");
  wrong.observer_params["bins"] = int64_t{3};
  EXPECT_FALSE(make_observer(wrong));
  wrong.observer_params = {{"averaging_constant", 2.0}};
  EXPECT_FALSE(make_observer(wrong));
  Spec channels = spec("histogram");
  channels.scheme = Scheme::per_channel;
  channels.axis = 0;
  EXPECT_FALSE(make_observer(channels));
}
TEST(Fixed, ReturnsItsConstants) {
  Spec fixed = spec("");
  fixed.kind = SpecKind::fixed;
  fixed.scale = 1.0f / 256;
  fixed.zero_point = -128;
  expect(observe(fixed, {kLarge}), 1.0f / 256, -128);
}

// Values of the reference implementation for x_i = (i * 7919 mod 10007) / 10007 * 2 - 1.
class Histogram : public testing::Test {
 protected:
  static Tensor base() {
    Tensor out(DType::f32, {10000});
    for (int64_t i = 0; i < 10000; ++i)
      out.as<float>()[static_cast<size_t>(i)] =
          static_cast<float>(static_cast<double>(i * 7919 % 10007) / 10007 * 2 - 1);
    return out;
  }
  static Tensor with_outlier() {
    Tensor out = base();
    out.as<float>()[0] = 50;
    return out;
  }
  static Tensor cubed() {
    Tensor out = base();
    for (float& x : out.as<float>()) x = 4 * x * x * x;
    return out;
  }
  static Spec histogram() {
    Spec out = spec("histogram");
    out.eps = 1.0 / 4096;
    return out;
  }
  static void exactly(const QParams& found, float scale, int32_t zero_point) {
    EXPECT_EQ(found.scale[0], scale);
    EXPECT_EQ(found.zero_point_at(0), zero_point);
  }
};
TEST_F(Histogram, UniformData) { exactly(observe(histogram(), {base()}), 0.00783852488f, 0); }
TEST_F(Histogram, OneOutlierSurvives) { exactly(observe(histogram(), {with_outlier()}), 0.199901566f, -123); }
TEST_F(Histogram, PeakedData) { exactly(observe(histogram(), {cubed()}), 0.0312559493f, 0); }
TEST_F(Histogram, RangeGrows) { exactly(observe(histogram(), {base(), with_outlier()}), 0.199902341f, -123); }
TEST_F(Histogram, NarrowerBatchKeepsTheRange) { exactly(observe(histogram(), {cubed(), base()}), 0.0312559493f, 0); }
TEST_F(Histogram, SixteenBitsSymmetric) {
  Spec wide = spec("histogram", DType::s16, -32767, 32767);
  wide.symmetric = true;
  wide.eps = 1.0 / 4096;
  exactly(observe(wide, {with_outlier()}), 0.00152516551f, 0);
}
TEST_F(Histogram, ConstantDataThenMore) {
  expect(observe(histogram(), {floats({2}, {3, 3})}), 3.0f / 255, -128);
  const QParams found = observe(histogram(), {floats({2}, {3, 3}), base()});
  EXPECT_GT(found.scale[0], 3.0f / 255);
}
TEST_F(Histogram, StateDoesNotDependOnHowDataIsCut) {
  // Counts are exact, so two halves in one range give the same histogram as the whole.
  const Tensor whole = base();
  const auto all = whole.as<float>();
  const std::vector<float> ends{all.begin(), all.begin() + 5000}, rest{all.begin() + 5000, all.end()};
  Tensor first = floats({5002}, [&] {
    auto v = ends;
    v.insert(v.end(), {-1.0f, 1.0f});
    return v;
  }());
  std::vector<float> joined{first.as<float>().begin(), first.as<float>().end()};
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(observe(histogram(), {first, floats({5000}, rest)}), observe(histogram(), {floats({10002}, joined)}));
}

TEST(TorchMath, CascadeSumEqualsTheExactSumOfIntegers) {
  for (const size_t count : {0u, 1u, 7u, 8u, 33u, 100u, 2048u, 5000u, 70000u}) {
    std::vector<float> values(count);
    double exact = 0;
    for (size_t i = 0; i < count; ++i) exact += values[i] = static_cast<float>(i % 7);
    EXPECT_EQ(cascade_sum(values), static_cast<float>(exact)) << count;
  }
}
TEST(TorchMath, LinspaceHitsBothEnds) {
  const auto points = linspace(-1.5f, 2.5f, 2049);
  EXPECT_EQ(points.front(), -1.5f);
  EXPECT_EQ(points.back(), 2.5f);
  EXPECT_TRUE(std::is_sorted(points.begin(), points.end()));
}

}  // namespace
}  // namespace quoin::quantize
