// Integer kernels with 16-bit data: int32 accumulators where a weight has at most 8 bits, int64 elsewhere.
#include <quoin/numerics.hpp>

#include "op_runner.hpp"

namespace quoin::test {
namespace {

std::shared_ptr<const QParams> sixteen(float scale, int32_t zero_point = 0) {
  return per_tensor(DType::s16, scale, zero_point);
}
Tensor wide(Shape shape, uint64_t seed, int low = -32768, int high = 32767) {
  return Random(seed).integers<int16_t>(std::move(shape), low, high);
}
int16_t at(const Tensor& tensor, int64_t i) { return tensor.as<int16_t>()[static_cast<size_t>(i)]; }
int16_t requantized(int64_t sum, float multiplier, const QParams& q) {
  return static_cast<int16_t>(numerics::requantize(sum, multiplier, q.zero_point_at(0), q.qmin, q.qmax));
}

TEST(SixteenBits, ConvolutionAndLinearSumInInt32) {
  const Tensor x = wide({4, 20}, 1), w = Random(2).integers<int8_t>({3, 20}, -127, 127);
  const Tensor bias = Random(3).integers<int32_t>({3}, -100000, 100000);
  const std::vector<float> scales{0.001f, 0.002f, 0.003f};
  std::vector<float> units;
  for (const float s : scales) units.push_back(s * 1e-4f);
  const auto qx = sixteen(1e-4f, 5), qy = sixteen(1e-4f, -77), qw = per_channel(0, scales),
             qb = per_channel(0, units, DType::s32);
  const auto linear = Op("aten.linear.default").in(x, qx).in(w, qw).in(bias, qb).out(qy).run();
  const auto conv = Op("aten.conv2d.default")
                        .in(x.reshaped({4, 20, 1, 1}), qx)
                        .in(w.reshaped({3, 20, 1, 1}), qw)
                        .in(bias, qb)
                        .out(qy)
                        .run();
  for (int64_t r = 0; r < 4; ++r)
    for (int64_t o = 0; o < 3; ++o) {
      int32_t sum = bias.as<int32_t>()[static_cast<size_t>(o)];
      for (int64_t k = 0; k < 20; ++k) sum += (at(x, r * 20 + k) - 5) * w.as<int8_t>()[static_cast<size_t>(o * 20 + k)];
      const float m = numerics::requantize_multiplier(1e-4f, scales[static_cast<size_t>(o)], 1e-4f);
      EXPECT_EQ(at(linear, r * 3 + o), requantized(sum, m, *qy));
      EXPECT_EQ(at(conv, r * 3 + o), at(linear, r * 3 + o));
    }
}

TEST(SixteenBits, AMatmulOfActivationsSumsBeyondInt32) {
  const Tensor a = wide({2, 64}, 1, 30000, 32767), b = wide({64, 3}, 2, 30000, 32767);
  const auto q = sixteen(1e-3f), qy = sixteen(3.0f);
  const auto y = Op("aten.matmul.default").in(a, q).in(b, q).out(qy).run();
  const float multiplier = numerics::requantize_multiplier(1e-3f, 1e-3f, 3.0f);
  for (int64_t i = 0; i < 6; ++i) {
    int64_t sum = 0;
    for (int64_t k = 0; k < 64; ++k) sum += int64_t{at(a, i / 3 * 64 + k)} * at(b, k * 3 + i % 3);
    EXPECT_GT(sum, INT32_MAX);
    EXPECT_EQ(at(y, i), requantized(sum, multiplier, *qy));
  }
}

TEST(SixteenBits, AMatmulMayMixWidths) {
  const Tensor a = wide({2, 8}, 1), b = Random(2).integers<int8_t>({8, 3}, -128, 127);
  const auto qy = sixteen(1e-2f, 9);
  const auto y =
      Op("aten.matmul.default").in(a, sixteen(1e-3f, 100)).in(b, per_tensor(DType::s8, 0.1f, -3)).out(qy).run();
  for (int64_t i = 0; i < 6; ++i) {
    int64_t sum = 0;
    for (int64_t k = 0; k < 8; ++k)
      sum += int64_t{at(a, i / 3 * 8 + k) - 100} * (b.as<int8_t>()[static_cast<size_t>(k * 3 + i % 3)] + 3);
    EXPECT_EQ(at(y, i), requantized(sum, numerics::requantize_multiplier(1e-3f, 0.1f, 1e-2f), *qy));
  }
}

TEST(SixteenBits, ProductsOfOppositeEndsDoNotWrap) {
  const Tensor a = tensor<int16_t>({2}, {-32768, 32767}), b = tensor<int16_t>({2}, {32767, 32767});
  const auto q = sixteen(1e-4f, -32768), qy = sixteen(1e-2f, -32768);
  const auto y = Op("aten.mul.Tensor").in(a, q).in(b, q).out(qy).run();
  EXPECT_EQ(at(y, 0), -32768);
  EXPECT_EQ(at(y, 1), requantized(int64_t{65535} * 65535, numerics::requantize_multiplier(1e-4f, 1e-4f, 1e-2f), *qy));
}

TEST(SixteenBits, AddAndSub) {
  const Tensor a = wide({40}, 1), b = wide({40}, 2);
  const auto qa = sixteen(1e-4f, 7), qb = sixteen(3e-4f, -9), qy = sixteen(4e-4f, 3);
  const auto sum = Op("aten.add.Tensor").in(a, qa).in(b, qb).out(qy).run(),
             difference = Op("aten.sub.Tensor").in(a, qa).in(b, qb).out(qy).run();
  for (int64_t i = 0; i < 40; ++i) {
    const float left = 1e-4f / 4e-4f, right = 3e-4f / 4e-4f;
    EXPECT_EQ(at(sum, i), numerics::add(at(a, i) - 7, left, at(b, i) + 9, right, 3, -32768, 32767));
    EXPECT_EQ(at(difference, i), numerics::add(at(a, i) - 7, left, at(b, i) + 9, -right, 3, -32768, 32767));
  }
}

TEST(SixteenBits, AveragesSumBeyondInt32) {
  const int64_t side = 320;  // 102400 elements of 65535 exceed int32
  Tensor x(DType::s16, {1, 1, side, side});
  std::fill_n(x.as<int16_t>().data(), side * side, int16_t{32767});
  const auto q = sixteen(1e-3f, -32768), qy = sixteen(2e-3f, -32768);
  const std::vector<int64_t> all{side, side};
  const int16_t expected =
      requantized(65535 * side * side, numerics::average_multiplier(1e-3f, 2e-3f, side * side), *qy);
  EXPECT_EQ(at(Op("aten.avg_pool2d.default").in(x, q).attr("kernel_size", all).out(qy).run(), 0), expected);
  EXPECT_EQ(at(Op("aten.mean.dim").in(x, q).attr("dim", std::vector<int64_t>{2, 3}).out(qy).run(), 0), expected);
}

TEST(SixteenBits, UnsignedToo) {
  QParams q;
  q.dtype = DType::u16;
  q.qmin = 0, q.qmax = 65535;
  q.scale = {1e-3f};
  q.zero_point = {32768};
  const auto u16 = std::make_shared<const QParams>(q);
  Tensor x(DType::u16, {1, 2});
  x.as<uint16_t>()[0] = 65535, x.as<uint16_t>()[1] = 0;
  const auto y = Op("aten.linear.default")
                     .in(x, u16)
                     .in(tensor<int8_t>({1, 2}, {100, -100}), per_channel(0, {1e-2f}))
                     .out(u16)
                     .run();
  const int32_t sum = 32767 * 100 + 32768 * 100;
  EXPECT_EQ(y.as<uint16_t>()[0],
            numerics::requantize(sum, numerics::requantize_multiplier(1e-3f, 1e-2f, 1e-3f), 32768, 0, 65535));
}

}  // namespace
}  // namespace quoin::test
