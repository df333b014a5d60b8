// Elementwise operators and reductions, float and integer.
#include <cmath>
#include <limits>

#include "op_runner.hpp"

namespace quoin::test {
namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

Tensor floats(Floats values) {
  const auto count = static_cast<int64_t>(values.size());
  return tensor<float>({count}, std::move(values));
}
Floats map(const char* op, Floats values) { return elements<float>(Op(op).in(floats(std::move(values))).run()); }

TEST(Unary, ComputesTheFunction) {
  EXPECT_EQ(map("aten.relu.default", {-1, 0, 2}), (Floats{0, 0, 2}));
  EXPECT_EQ(map("aten.relu6.default", {-1, 3, 7}), (Floats{0, 3, 6}));
  EXPECT_EQ(map("aten.hardswish.default", {-4, -1, 1, 4}), (Floats{0, -2.0f / 6, 4.0f / 6, 4}));
  EXPECT_EQ(map("aten.hardsigmoid.default", {-4, 0, 4}), (Floats{0, 0.5f, 1}));
  EXPECT_EQ(map("aten.sigmoid.default", {0, 1000, -1000}), (Floats{0.5f, 1, 0}));
  EXPECT_EQ(map("aten.round.default", {0.5f, 1.5f, -2.5f}), (Floats{0, 2, -2}));
  EXPECT_EQ(map("aten.rsqrt.default", {4, 0.25f}), (Floats{0.5f, 2}));
  EXPECT_EQ(map("aten.reciprocal.default", {4, -2}), (Floats{0.25f, -0.5f}));
  EXPECT_EQ(map("aten.abs.default", {-1, 2}), (Floats{1, 2}));
  EXPECT_EQ(map("aten.neg.default", {-1, 2}), (Floats{1, -2}));
  EXPECT_EQ(map("aten.leaky_relu.default", {-100, 2}), (Floats{-1, 2}));
  EXPECT_NEAR(map("aten.silu.default", {1})[0], 0.731058579f, 1e-6);
  EXPECT_NEAR(map("aten.gelu.default", {1})[0], 0.841344746f, 1e-6);
  EXPECT_NEAR(map("aten.erf.default", {1})[0], 0.842700793f, 1e-6);
  EXPECT_NEAR(map("aten.elu.default", {-1})[0], std::exp(-1.0f) - 1, 1e-6);
  expect_near(Op("aten.gelu.default").in(floats({1})).attr("approximate", std::string("tanh")).run(), {0.841191990f},
              1e-6f);
}

TEST(Unary, KeepsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(map("aten.relu.default", {nan})[0]));
  EXPECT_TRUE(std::isnan(elements<float>(Op("aten.clamp.default").in(floats({nan})).attr("max", 1.0).run())[0]));
}

TEST(Clamp, AppliesTheBoundsThatAreGiven) {
  EXPECT_EQ(elements<float>(Op("aten.clamp.default").in(floats({-5, 0, 5})).attr("min", -1.0).run()),
            (Floats{-1, 0, 5}));
  EXPECT_EQ(elements<float>(Op("aten.clamp_max.default").in(floats({-5, 5})).attr("max", 1.0).run()), (Floats{-5, 1}));
  EXPECT_EQ(
      elements<float>(Op("aten.hardtanh.default").in(floats({-5, 5})).attr("min_val", 0.0).attr("max_val", 6.0).run()),
      (Floats{0, 5}));
  EXPECT_EQ(elements<int64_t>(
                Op("aten.clamp.default").in(tensor<int64_t>({3}, {-5, 0, 5})).attr("min", -1.0).attr("max", 2.0).run()),
            (Ints{-1, 0, 2}));
}

TEST(Power, IsExactOnIntegers) {
  EXPECT_EQ(elements<float>(Op("aten.pow.Tensor_Scalar").in(floats({-3, 2})).attr("exponent", 2.0).run()),
            (Floats{9, 4}));
  EXPECT_EQ(
      elements<int64_t>(Op("aten.pow.Tensor_Scalar").in(tensor<int64_t>({2}, {3, -2})).attr("exponent", 3.0).run()),
      (Ints{27, -8}));
  EXPECT_EQ(elements<float>(Op("aten.pow.Tensor_Scalar").in(tensor<int64_t>({1}, {9})).attr("exponent", 0.5).run()),
            (Floats{3}));
}

TEST(Binary, BroadcastsBothSides) {
  const Tensor column = tensor<float>({2, 1}, {10, 20}), row = tensor<float>({3}, {1, 2, 3});
  EXPECT_EQ(elements<float>(Op("aten.add.Tensor").in(column).in(row).run()), (Floats{11, 12, 13, 21, 22, 23}));
  EXPECT_EQ(elements<float>(Op("aten.sub.Tensor").in(row).in(column).run()), (Floats{-9, -8, -7, -19, -18, -17}));
  EXPECT_EQ(elements<float>(Op("aten.mul.Tensor").in(column).in(row).run()), (Floats{10, 20, 30, 20, 40, 60}));
  EXPECT_EQ(elements<float>(Op("aten.div.Tensor").in(column).in(column).run()), (Floats{1, 1}));
  EXPECT_EQ(elements<float>(Op("aten.add.Tensor").in(row).in(row).attr("alpha", 2.0).run()), (Floats{3, 6, 9}));
  EXPECT_EQ(elements<float>(Op("aten.maximum.default").in(column).in(tensor<float>({}, {15})).run()), (Floats{15, 20}));
}

TEST(Binary, IsExactOnLargeIntegers) {
  const int64_t big = (int64_t{1} << 53) + 1;
  EXPECT_EQ(
      elements<int64_t>(Op("aten.add.Tensor").in(tensor<int64_t>({1}, {big})).in(tensor<int32_t>({1}, {1})).run()),
      (Ints{big + 1}));
  EXPECT_EQ(elements<int64_t>(Op("aten.mul.Scalar").in(tensor<int64_t>({1}, {big})).attr("other", 3.0).run()),
            (Ints{big * 3}));
  EXPECT_EQ(elements<int64_t>(Op("aten.sub.Scalar").in(tensor<int64_t>({1}, {INT64_MIN})).attr("other", 1.0).run()),
            (Ints{INT64_MAX}));
}

TEST(Binary, MixesTypes) {
  EXPECT_EQ(elements<float>(Op("aten.mul.Tensor").in(bools({2}, {0, 1})).in(floats({5, 6})).run()), (Floats{0, 6}));
  EXPECT_EQ(elements<float>(Op("aten.div.Tensor").in(tensor<int64_t>({1}, {1})).in(tensor<int64_t>({1}, {4})).run()),
            (Floats{0.25f}));
  EXPECT_EQ(elements<float>(Op("aten.add.Scalar").in(tensor<int64_t>({1}, {1})).attr("other", 0.5).run()),
            (Floats{1.5f}));
}

std::vector<uint8_t> flags(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype(), DType::boolean);
  const auto view = tensor.as<uint8_t>();
  return {view.begin(), view.end()};
}

TEST(Predicate, GivesBool) {
  using Flags = std::vector<uint8_t>;
  const Tensor a = tensor<int64_t>({3}, {1, 2, 3}), b = tensor<int64_t>({}, {2});
  EXPECT_EQ(flags(Op("aten.lt.Tensor").in(a).in(b).run()), (Flags{1, 0, 0}));
  EXPECT_EQ(flags(Op("aten.ge.Scalar").in(a).attr("other", 2.0).run()), (Flags{0, 1, 1}));
  EXPECT_EQ(flags(Op("aten.eq.Scalar").in(a).attr("other", 2.5).run()), (Flags{0, 0, 0}));
  EXPECT_EQ(flags(Op("aten.ne.Tensor").in(floats({1, 2, 3})).in(a).run()), (Flags{0, 0, 0}));
  EXPECT_EQ(flags(Op("aten.logical_and.default").in(bools({2}, {1, 1})).in(bools({2}, {0, 1})).run()), (Flags{0, 1}));
  EXPECT_EQ(flags(Op("aten.bitwise_and.Tensor").in(bools({}, {1})).in(bools({2}, {0, 1})).run()), (Flags{0, 1}));
  EXPECT_EQ(flags(Op("aten.logical_not.default").in(floats({0, 2})).run()), (Flags{1, 0}));
}

TEST(Where, ChoosesByCondition) {
  const Tensor condition = bools({2, 1}, {1, 0});
  EXPECT_EQ(elements<float>(Op("aten.where.self").in(condition).in(floats({1, 2})).in(tensor<float>({}, {9})).run()),
            (Floats{1, 2, 9, 9}));
  EXPECT_EQ(elements<float>(Op("aten.where.ScalarOther")
                                .in(condition)
                                .in(tensor<float>({}, {0}))
                                .attr("other", -3.4028234663852886e38)
                                .run()),
            (Floats{0, -std::numeric_limits<float>::max()}));
  EXPECT_EQ(
      elements<int64_t>(Op("aten.where.ScalarSelf").in(condition).in(tensor<int64_t>({}, {4})).attr("self", 7.0).run()),
      (Ints{7, 4}));
}

TEST(Cast, ConvertsEveryPair) {
  EXPECT_EQ(elements<int64_t>(Op("aten.to.dtype").in(floats({1.9f, -1.9f})).attr("dtype", std::string("s64")).run()),
            (Ints{1, -1}));
  EXPECT_EQ(flags(Op("aten.to.dtype").in(tensor<int64_t>({3}, {0, 256, -1})).attr("dtype", std::string("bool")).run()),
            (std::vector<uint8_t>{0, 1, 1}));
  const Tensor half =
      Op("aten.to.dtype").in(floats({1.0f, 65504.0f, 1e6f, 6e-8f, -0.1f})).attr("dtype", std::string("f16")).run();
  const auto bits = half.as<uint16_t>();
  EXPECT_EQ(std::vector<uint16_t>(bits.begin(), bits.end()),
            (std::vector<uint16_t>{0x3c00, 0x7bff, 0x7c00, 0x0001, 0xae66}));
  EXPECT_EQ(elements<float>(Op("aten.to.dtype").in(half).attr("dtype", std::string("f32")).run())[1], 65504.0f);
  const Tensor brain = Op("aten.to.dtype").in(floats({1.0f, 1.00390625f})).attr("dtype", std::string("bf16")).run();
  EXPECT_EQ(brain.as<uint16_t>()[0], 0x3f80);
  EXPECT_EQ(brain.as<uint16_t>()[1], 0x3f80);  // halfway: to even
}

TEST(Reduction, WalksAnyDims) {
  const Tensor x = tensor<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(elements<float>(Op("aten.sum.dim_IntList").in(x).attr("dim", Ints{0, 2}).run()), (Floats{14, 22}));
  EXPECT_EQ(elements<float>(Op("aten.mean.dim").in(x).attr("dim", Ints{1}).attr("keepdim", true).run()),
            (Floats{2, 3, 6, 7}));
  EXPECT_EQ(elements<float>(Op("aten.mean.dim").in(x).run()), (Floats{4.5f}));
  EXPECT_EQ(elements<float>(Op("aten.amax.default").in(x).attr("dim", Ints{-1}).run()), (Floats{2, 4, 6, 8}));
  EXPECT_EQ(elements<float>(Op("aten.amin.default").in(x).attr("dim", Ints{0}).run()), (Floats{1, 2, 3, 4}));
  EXPECT_EQ(elements<int64_t>(Op("aten.argmax.default").in(x).attr("dim", int64_t{0}).run()), (Ints{1, 1, 1, 1}));
  EXPECT_EQ(elements<int64_t>(Op("aten.argmax.default").in(x).run()), (Ints{7}));
  EXPECT_EQ(elements<int64_t>(Op("aten.sum.dim_IntList").in(bools({3}, {1, 0, 1})).run()), (Ints{2}));
}

TEST(Norm, SupportsEveryOrder) {
  const Tensor x = floats({3, -4, 0});
  const auto norm = [&](double order) {
    return elements<float>(Op("aten.linalg_vector_norm.default").in(x).attr("ord", order).run())[0];
  };
  EXPECT_EQ(norm(2), 5);
  EXPECT_EQ(norm(1), 7);
  EXPECT_EQ(norm(0), 2);
  EXPECT_EQ(norm(INFINITY), 4);
  EXPECT_EQ(norm(-INFINITY), 0);
}

}  // namespace
}  // namespace quoin::test
