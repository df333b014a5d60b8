#include <quoin/numerics.hpp>

#include <cmath>
#include <span>

#include "machine.hpp"

namespace quoin::cpu::test {
namespace {

class Elementwise : public PerTier {};
INSTANTIATE_TEST_SUITE_P(Tiers, Elementwise, ::testing::ValuesIn(usable_tiers()), tier_name);

size_t at(int64_t i) { return static_cast<size_t>(i); }
const int64_t kTails[] = {0, 1, 5, 7, 8, 9, 15, 16, 17, 100};

TEST_P(Elementwise, AddAndMulEqualTheNumericsForAllOperandPairs) {
  std::vector<uint8_t> a(65536 + 64), b(65536 + 64), sum(65536), product(65536);
  for (size_t i = 0; i < 65536; ++i) a[i] = static_cast<uint8_t>(i), b[i] = static_cast<uint8_t>(i >> 8);
  BinaryU8 g;
  g.a = a.data(), g.b = b.data(), g.cols = 65536, g.a_zero = 100, g.b_zero = 140, g.a_ratio = 0.731f, g.b_ratio = 1.37f;
  g.zero_point = 120, g.low = 20, g.high = 250;
  g.y = sum.data();
  k().add_u8(g);
  g.y = product.data(), g.a_ratio = 0.0131f;
  k().mul_u8(g);
  for (size_t i = 0; i < 65536; ++i) {
    ASSERT_EQ(sum[i], numerics::add(a[i] - 100, 0.731f, b[i] - 140, 1.37f, 120, 20, 250)) << i;
    ASSERT_EQ(product[i], numerics::requantize((a[i] - 100) * (b[i] - 140), 0.0131f, 120, 20, 250)) << i;
  }
}

TEST_P(Elementwise, RowsOfAVectorBroadcastAndTailsStayInside) {
  for (int64_t cols : kTails) {
    Random random(21);
    const std::vector<uint8_t> a = random.activations(3 * cols), b = random.activations(cols);
    std::vector<uint8_t> y(at(3 * (cols + 1)), 0xAB);
    BinaryU8 g;
    g.a = a.data(), g.b = b.data(), g.y = y.data(), g.a_stride = cols, g.y_stride = cols + 1, g.rows = 3, g.cols = cols;
    k().add_u8(g);
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t c = 0; c < cols; ++c)
        ASSERT_EQ(y[at(r * (cols + 1) + c)], std::min(a[at(r * cols + c)] + b[at(c)], 255));
      ASSERT_EQ(y[at(r * (cols + 1) + cols)], 0xAB);
    }
  }
}

TEST_P(Elementwise, QuantizeEqualsTheNumericsForHardValues) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0,      -0.0f, 0.5f, 1.5f, 2.5f,   -0.5f,  -1.5f,  1e30f,
                          -1e30f, inf,   -inf, NAN,  126.5f, 127.5f, -128.5f};
  Random random(22);
  for (int i = 0; i < 1000; ++i) x.push_back(random.real(-200, 200));
  for (float scale : {1.0f, 0.37f}) {
    std::vector<uint8_t> y(x.size());
    QuantizeF32 g;
    g.x = x.data(), g.y = y.data(), g.cols = static_cast<int64_t>(x.size());
    g.scale = scale, g.zero_point = 131, g.low = 1, g.high = 255;
    k().quantize(g);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], numerics::quantize(x[i], 1.0f / scale, 131, 1, 255)) << x[i];
  }
}

TEST_P(Elementwise, TransposesConvertAndReorder) {
  for (int64_t rows : {1, 3, 16, 21})
    for (int64_t cols : {1, 17, 64, 100}) {
      Random random(23);
      const std::vector<float> real = random.reals(rows * cols, -3, 3);
      const std::vector<uint8_t> bytes = random.activations(rows * cols);
      std::vector<uint8_t> q(real.size()), flipped(real.size());
      std::vector<float> dequantized(real.size()), moved(real.size()), straight(real.size());
      k().quantize_transposed({real.data(), q.data(), rows, cols, cols, rows, 0.02f, 130, 0, 255});
      k().transpose_u8({bytes.data(), flipped.data(), rows, cols, cols, rows, 1, 0x80, 0, 255});
      k().transpose_f32({real.data(), moved.data(), rows, cols, cols, rows, 1, 0, 0, 255});
      k().dequantize_transposed({bytes.data(), dequantized.data(), rows, cols, cols, rows, 0.3f, 9, 0, 255});
      k().dequantize({bytes.data(), straight.data(), rows, cols, cols, cols, 0.3f, 9, 0, 255});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) {
          const size_t from = at(r * cols + c), to = at(c * rows + r);
          ASSERT_EQ(q[to], numerics::quantize(real[from], 1.0f / 0.02f, 130, 0, 255));
          ASSERT_EQ(flipped[to], bytes[from] ^ 0x80);
          ASSERT_EQ(moved[to], real[from]);
          ASSERT_EQ(dequantized[to], numerics::dequantize(bytes[from], 0.3f, 9));
          ASSERT_EQ(straight[from], dequantized[to]);
        }
    }
}

TEST_P(Elementwise, DynamicRowsChooseTheirParameters) {
  for (const uint32_t scheme : {0u, 1u, 2u, 3u})
    for (const int64_t cols : {1, 7, 16, 50}) {
      const float eps = cols == 7 ? 0x1p-12f : numerics::kDefaultEps;
      Random random(24);
      std::vector<float> x = random.reals(6 * cols, -3, 5);
      for (int64_t c = 0; c < cols; ++c) x[at(c)] = 0, x[at(cols + c)] = 2, x[at(2 * cols + c)] = -2;
      for (float& v : std::span(x).last(at(2 * cols))) v = std::round(v * 16) / 16;  // ties
      std::vector<uint8_t> y(x.size());
      std::vector<float> scale(6);
      std::vector<int32_t> zero(6);
      const auto choose = [](const QuantizeRows& g, float min, float max) {
        const auto kind = static_cast<numerics::Dynamic>(g.scheme);
        const auto q = numerics::choose_dynamic(kind, min, max, -128, 127, g.eps);
        return RowParams{q.scale, q.zero_point, kind == numerics::Dynamic::token};
      };
      k().quantize_rows({x.data(), cols, y.data(), cols, scale.data(), zero.data(), 6, cols, choose, scheme, eps});
      for (int64_t r = 0; r < 6; ++r) {
        const auto row = x.begin() + r * cols;
        const auto [low, high] = std::minmax_element(row, row + cols);
        const auto kind = static_cast<numerics::Dynamic>(scheme);
        const numerics::Affine want = numerics::choose_dynamic(kind, *low, *high, -128, 127, eps);
        ASSERT_EQ(scale[at(r)], want.scale);
        ASSERT_EQ(zero[at(r)], want.zero_point + 128);
        for (int64_t c = 0; c < cols; ++c)
          ASSERT_EQ(y[at(r * cols + c)], numerics::quantize_dynamic(kind, row[c], want, -128, 127) + 128)
              << "scheme " << scheme;
      }
    }
}

TEST_P(Elementwise, LookupAppliesATableOrCopies) {
  Random random(25);
  const std::vector<uint8_t> x = random.activations(3 * 10);
  std::vector<uint8_t> table(256), y(3 * 20, 0xAB);
  fill_rescale_table({0.1f, 130, 0.2f, 100, 5, 250}, table.data());
  k().lookup_u8({x.data(), y.data(), 3, 10, 10, 20, table.data()});
  k().lookup_u8({x.data(), y.data() + 10, 3, 10, 10, 20, nullptr});
  for (int64_t i = 0; i < 30; ++i) {
    const float real = numerics::dequantize(x[at(i)], 0.1f, 130);
    ASSERT_EQ(y[at(i / 10 * 20 + i % 10)], numerics::quantize(real, 1.0f / 0.2f, 100, 5, 250));
    ASSERT_EQ(y[at(i / 10 * 20 + i % 10 + 10)], x[at(i)]);
  }
}

TEST_P(Elementwise, FloatBinaryOperatorsBroadcast) {
  for (int64_t cols : kTails) {
    Random random(26);
    const std::vector<float> a = random.reals(2 * cols), b = random.reals(cols, 1, 2);
    std::vector<float> y(at(2 * cols)), want(y.size());
    BinaryF32 g;
    g.a = a.data(), g.b = b.data(), g.y = y.data(), g.a_stride = g.y_stride = cols, g.rows = 2, g.cols = cols,
    g.low = -0.25f;
    for (int64_t i = 0; i < 2 * cols; ++i) want[at(i)] = std::max(a[at(i)] / b[at(i % cols)], -0.25f);
    k().div_f32(g);
    EXPECT_EQ(y, want);
    for (int64_t i = 0; i < 2 * cols; ++i) want[at(i)] = std::max(a[at(i)] - b[at(i % cols)], -0.25f);
    k().sub_f32(g);
    EXPECT_EQ(y, want);
    if (cols == 0) continue;
    g.b_scalar = true;
    for (int64_t i = 0; i < 2 * cols; ++i) want[at(i)] = std::max(a[at(i)] * b[0], -0.25f);
    k().mul_f32(g);
    EXPECT_EQ(y, want);
  }
}

double worst(UnaryF32 f, double (*truth)(double), float low, float high, bool relative) {
  std::vector<float> x, y;
  for (int i = 0; i <= 200000; ++i) x.push_back(low + (high - low) * static_cast<float>(i) / 200000.0f);
  y.resize(x.size());
  f(x.data(), y.data(), static_cast<int64_t>(x.size()));
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = truth(x[i]), scale = relative ? std::abs(want) + 1e-30 : 1;
    error = std::max(error, std::abs(y[i] - want) / scale);
  }
  return error;
}

TEST_P(Elementwise, ElementaryFunctionsKeepTheirErrorBounds) {
  EXPECT_LT(worst(
                k().exp_f32, [](double x) { return std::exp(x); }, -87.0f, 88.5f, true),
            2e-7);
  EXPECT_LT(worst(
                k().tanh_f32, [](double x) { return std::tanh(x); }, -12, 12, false),
            1e-6);
  EXPECT_LT(worst(
                k().sigmoid_f32, [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80, false),
            1e-6);
  const auto gelu = [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  EXPECT_LT(worst(k().gelu_f32, gelu, -3, 3, false), 1e-6);
  EXPECT_LT(worst(k().gelu_f32, gelu, -9, 9, false), 2e-6);
  // gelu(x) / x * 2 - 1 is erf: its relative error where it is largest, around 0.
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  EXPECT_LT(worst(k().silu_f32, silu, -20, 20, false), 4e-6);
  EXPECT_LT(worst(
                k().hardswish_f32, [](double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }, -5, 5, false),
            1e-6);
}

TEST_P(Elementwise, ExpReachesItsLimits) {
  const std::vector<float> x = {-std::numeric_limits<float>::infinity(), -200, -88, 0, 88.7f, 89.5f, 1000};
  std::vector<float> y(x.size());
  k().exp_f32(x.data(), y.data(), 7);
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_LT(y[2], 1e-37f);
  EXPECT_EQ(y[3], 1);
  EXPECT_NEAR(y[4] / std::exp(88.7f), 1, 1e-6);
  EXPECT_TRUE(std::isinf(y[5]));
  EXPECT_TRUE(std::isinf(y[6]));
}

TEST_P(Elementwise, SoftmaxAndLayerNormRows) {
  for (int64_t cols : {1, 5, 16, 33, 128}) {
    Random random(27);
    const std::vector<float> x = random.reals(3 * cols, -4, 4), gamma = random.reals(cols), beta = random.reals(cols);
    std::vector<float> y(x.size()), want(x.size());
    for (int64_t r = 0; r < 3; ++r) {
      double total = 0;
      for (int64_t c = 0; c < cols; ++c) total += std::exp(2.0 * x[at(r * cols + c)]);
      for (int64_t c = 0; c < cols; ++c)
        want[at(r * cols + c)] = static_cast<float>(std::exp(2.0 * x[at(r * cols + c)]) / total);
    }
    k().softmax_f32({x.data(), y.data(), 3, cols, cols, cols, 2.0f});
    expect_near(y, want, 1e-6f, "softmax");
    for (int64_t r = 0; r < 3; ++r) {
      double mean = 0, square = 0;
      for (int64_t c = 0; c < cols; ++c) mean += x[at(r * cols + c)] / static_cast<double>(cols);
      for (int64_t c = 0; c < cols; ++c) square += std::pow(x[at(r * cols + c)] - mean, 2) / static_cast<double>(cols);
      for (int64_t c = 0; c < cols; ++c)
        want[at(r * cols + c)] =
            static_cast<float>((x[at(r * cols + c)] - mean) / std::sqrt(square + 1e-5) * gamma[at(c)] + beta[at(c)]);
    }
    k().layer_norm_f32({x.data(), gamma.data(), beta.data(), y.data(), 3, cols, cols, cols, 1e-5f});
    expect_near(y, want, 2e-5f, "layer norm");
  }
}

}  // namespace
}  // namespace quoin::cpu::test
