// Everything that slides a window: depthwise convolution, pooling, means.
#include <quoin/numerics.hpp>

#include <cmath>

#include "machine.hpp"

namespace quoin::cpu::test {
namespace {

class Windows : public PerTier {};
INSTANTIATE_TEST_SUITE_P(Tiers, Windows, ::testing::ValuesIn(usable_tiers()), tier_name);

size_t at(int64_t i) { return static_cast<size_t>(i); }

struct Geometry {
  int32_t in_h = 9, in_w = 11, kernel_h = 3, kernel_w = 3, stride = 1, dilation = 1;
  int32_t top = 1, left = 1, bottom = 1, right = 1;

  Window window() const {
    Window w;
    w.in_h = in_h, w.in_w = in_w, w.kernel_h = kernel_h, w.kernel_w = kernel_w;
    w.stride_h = w.stride_w = stride, w.dilation_h = w.dilation_w = dilation, w.pad_top = top, w.pad_left = left;
    w.out_h = (in_h + top + bottom - dilation * (kernel_h - 1) - 1) / stride + 1;
    w.out_w = (in_w + left + right - dilation * (kernel_w - 1) - 1) / stride + 1;
    return w;
  }
};

const Geometry kGeometries[] = {
    {},
    {.in_w = 3},
    {.in_h = 1, .in_w = 1},
    {.stride = 2},
    {.stride = 2, .top = 0, .left = 0},
    {.kernel_h = 5, .kernel_w = 5, .top = 2, .left = 2, .bottom = 2, .right = 2},
    {.in_h = 14, .in_w = 14, .kernel_h = 5, .kernel_w = 5, .stride = 2, .top = 1, .left = 1, .bottom = 2, .right = 2},
    {.in_w = 29, .kernel_h = 5, .kernel_w = 5, .top = 2, .left = 2, .bottom = 2, .right = 2},
    {.in_w = 30, .stride = 2, .top = 0, .left = 0},
    {.kernel_h = 3, .kernel_w = 5, .top = 0, .left = 3},
    {.kernel_h = 7, .kernel_w = 1, .stride = 3, .top = 3, .left = 0, .bottom = 3, .right = 0},
    {.dilation = 2, .top = 2, .left = 2, .bottom = 2, .right = 2},
    {.in_h = 49, .in_w = 10, .kernel_h = 10, .kernel_w = 4, .stride = 2, .top = 4, .left = 1, .bottom = 5, .right = 1},
};

// Calls visit(out pixel, in pixel or -1, tap) for every tap of every output pixel, row by row.
template <class Visit>
void each_tap(const Window& w, const Visit& visit) {
  for (int64_t oh = 0; oh < w.out_h; ++oh)
    for (int64_t ow = 0; ow < w.out_w; ++ow)
      for (int64_t kh = 0; kh < w.kernel_h; ++kh)
        for (int64_t kw = 0; kw < w.kernel_w; ++kw) {
          const int64_t ih = oh * w.stride_h - w.pad_top + kh * w.dilation_h;
          const int64_t iw = ow * w.stride_w - w.pad_left + kw * w.dilation_w;
          const bool inside = ih >= 0 && ih < w.in_h && iw >= 0 && iw < w.in_w;
          visit(oh * w.out_w + ow, inside ? ih * w.in_w + iw : -1, kh * w.kernel_w + kw);
        }
}

// factor: the multiplier of every channel, with biases from one end of int32 to the other; 0: those of a typical layer.
void check_depthwise_u8(const KernelTable& kernels, const Geometry& geometry, int64_t channels, Fill fill,
                        int64_t x_gap = 5, int64_t y_gap = 2, float factor = 0) {
  const Window w = geometry.window();
  SCOPED_TRACE(::testing::Message() << "channels " << channels << " kernel " << w.kernel_h << "x" << w.kernel_w);
  Random random(11);
  const int64_t taps = w.kernel_h * w.kernel_w, pixels = w.out_h * w.out_w, x_stride = channels + x_gap,
                y_stride = channels + y_gap;
  const int32_t zero_x = 77;
  const std::vector<uint8_t> x = random.activations(w.in_h * w.in_w * x_stride, fill);
  const std::vector<int8_t> weights = random.integers<int8_t>(channels * taps, -128, 127, fill);
  const int32_t most_bias = factor == 0 ? 9000 : INT32_MAX - 5'000'000;
  const std::vector<int32_t> bias = random.integers<int32_t>(channels, -most_bias, most_bias);
  std::vector<float> multiplier = random.reals(round_up(channels, 64), 0.0005f, 0.02f);
  if (factor != 0) std::fill(multiplier.begin(), multiplier.end(), factor);
  std::vector<int32_t> acc(at(pixels * channels)), folded(multiplier.size());
  std::vector<int8_t> packed(at(packed_depthwise_s8(channels, w.kernel_h, w.kernel_w)));
  pack_depthwise_s8(weights.data(), channels, w.kernel_h, w.kernel_w, packed.data());
  ASSERT_TRUE(fold_bias(weights.data(), channels, taps, bias.data(), zero_x, folded.data()));
  each_tap(w, [&](int64_t out, int64_t in, int64_t tap) {
    for (int64_t c = 0; in >= 0 && c < channels; ++c)
      acc[at(out * channels + c)] += (x[at(in * x_stride + c)] - zero_x) * weights[at(c * taps + tap)];
  });
  std::vector<uint8_t> y(at(pixels * y_stride), 0xAB);
  DepthwiseU8 g;
  g.x = x.data(), g.x_stride = x_stride, g.w = packed.data(), g.bias = folded.data(), g.y = y.data(),
  g.y_stride = y_stride;
  g.channels = channels, g.zero_x = static_cast<uint8_t>(zero_x), g.out = {multiplier.data(), 120, 100, 250},
  g.window = w;
  g.row_begin = 0, g.row_end = w.out_h / 2;  // two halves are the whole
  kernels.depthwise_u8(g);
  g.row_begin = w.out_h / 2, g.row_end = w.out_h;
  kernels.depthwise_u8(g);
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < y_stride; ++c) {
      const int32_t got = y[at(p * y_stride + c)];
      if (c >= channels) {
        ASSERT_EQ(got, 0xAB) << "wrote past channel " << channels;
      } else {
        const int32_t total = acc[at(p * channels + c)] + bias[at(c)];
        ASSERT_EQ(got, numerics::requantize(total, multiplier[at(c)], 120, 100, 250))
            << "pixel " << p << " channel " << c;
      }
    }
}

TEST_P(Windows, DepthwiseIsExactForEveryGeometry) {
  for (const Geometry& geometry : kGeometries) check_depthwise_u8(k(), geometry, 40, Fill::kUniform);
}

TEST_P(Windows, DepthwiseIsExactForEveryChannelTail) {
  for (int64_t channels : {1, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 144}) {
    check_depthwise_u8(k(), {}, channels, Fill::kUniform);
    check_depthwise_u8(k(), kGeometries[11], channels, Fill::kUniform);
  }
}

// Pixels behind each other share vectors; the row of 35 has some that touch no border.
TEST_P(Windows, DepthwiseOfFewDenseChannelsIsExact) {
  std::vector<Geometry> geometries(std::begin(kGeometries), std::end(kGeometries));
  for (const int32_t size : {3, 5})
    for (const int32_t stride : {1, 2}) {
      const int32_t pad = size / 2;
      geometries.push_back({5, 35, size, size, stride, 1, pad, pad, pad, pad});
      geometries.push_back({size, size, size, size, stride, 1, 0, 0, 0, 0});
      geometries.push_back({4, 2, size, size, stride, 1, pad, size, pad, size});  // windows of nothing but padding
    }
  for (const Geometry& geometry : geometries)
    for (const int64_t channels : {4, 8, 16, 24, 32, 64})
      for (const Fill fill : {Fill::kUniform, Fill::kExtreme}) check_depthwise_u8(k(), geometry, channels, fill, 0, 0);
}

TEST_P(Windows, DepthwiseHoldsExtremeOperands) {
  for (const Geometry& geometry : kGeometries) check_depthwise_u8(k(), geometry, 70, Fill::kExtreme);
}

// Up to the largest number below 1 products of any int32 fit into int32.
TEST_P(Windows, DepthwiseResultsBeyondEveryBoundAreClamped) {
  for (const float factor : {0x1.fffffep-1f, 1.0f, 1e6f})
    for (const int64_t channels : {16, 40, 70})
      for (const int64_t gap : {0, 3}) check_depthwise_u8(k(), {}, channels, Fill::kExtreme, gap, gap, factor);
}

TEST_P(Windows, FloatDepthwiseMatchesForEveryGeometry) {
  for (const Geometry& geometry : kGeometries)
    for (int64_t channels : {1, 16, 21, 40}) {
      const Window w = geometry.window();
      Random random(12);
      const int64_t taps = w.kernel_h * w.kernel_w, pixels = w.out_h * w.out_w;
      const std::vector<float> x = random.reals(w.in_h * w.in_w * channels), bias = random.reals(channels);
      const std::vector<float> weights = random.reals(channels * taps);
      std::vector<float> want(at(pixels * channels)), y(want.size());
      for (int64_t i = 0; i < pixels * channels; ++i) want[at(i)] = bias[at(i % channels)];
      each_tap(w, [&](int64_t out, int64_t in, int64_t tap) {
        for (int64_t c = 0; in >= 0 && c < channels; ++c)
          want[at(out * channels + c)] += x[at(in * channels + c)] * weights[at(c * taps + tap)];
      });
      for (float& v : want) v = std::max(v, -0.5f);
      std::vector<float> packed(at(packed_depthwise_f32(channels, w.kernel_h, w.kernel_w)));
      pack_depthwise_f32(weights.data(), channels, w.kernel_h, w.kernel_w, packed.data());
      DepthwiseF32 g;
      g.x = x.data(), g.x_stride = channels, g.w = packed.data(), g.bias = bias.data(), g.y = y.data();
      g.y_stride = channels, g.channels = channels, g.row_end = w.out_h, g.low = -0.5f, g.window = w;
      k().depthwise_f32(g);
      expect_near(y, want, 1e-5f, "depthwise");
    }
}

TEST_P(Windows, PoolsCountOnlyTapsInsideTheImage) {
  for (const Geometry& geometry : kGeometries) {
    if (geometry.top >= geometry.kernel_h || geometry.left >= geometry.kernel_w) continue;
    const Window w = geometry.window();
    Random random(14);
    const int64_t channels = 21, pixels = w.out_h * w.out_w;
    const std::vector<uint8_t> x = random.activations(w.in_h * w.in_w * channels);
    std::vector<int32_t> sum(at(pixels * channels)), best(sum.size()), count(at(pixels));
    each_tap(w, [&](int64_t out, int64_t in, int64_t) {
      if (in < 0) return;
      ++count[at(out)];
      for (int64_t c = 0; c < channels; ++c) {
        sum[at(out * channels + c)] += x[at(in * channels + c)] - 50;
        best[at(out * channels + c)] = std::max<int32_t>(best[at(out * channels + c)], x[at(in * channels + c)]);
      }
    });
    std::vector<uint8_t> y(at(pixels * channels));
    PoolU8 g;
    g.x = x.data(), g.x_stride = channels, g.y = y.data(), g.y_stride = channels, g.channels = channels;
    g.row_end = w.out_h, g.zero_x = 50, g.ratio = 0.7f, g.zero_point = 60, g.high = 200, g.window = w;
    for (int32_t divisor : {0, 9}) {
      g.divisor = divisor;
      k().avg_pool_u8(g);
      for (int64_t i = 0; i < pixels * channels; ++i) {
        const int32_t n = divisor ? divisor : std::max(count[at(i / channels)], 1);
        ASSERT_EQ(y[at(i)], numerics::requantize(sum[at(i)], 0.7f / static_cast<float>(n), 60, 0, 200)) << i;
      }
    }
    k().max_pool_u8(g);
    for (int64_t i = 0; i < pixels * channels; ++i) ASSERT_EQ(y[at(i)], best[at(i)]) << i;
  }
}

TEST_P(Windows, FloatPoolsMatchTheirDefinition) {
  const Window w = Geometry{.stride = 2}.window();
  Random random(15);
  const int64_t channels = 19, pixels = w.out_h * w.out_w;
  const std::vector<float> x = random.reals(w.in_h * w.in_w * channels);
  std::vector<float> sum(at(pixels * channels)), best(sum.size(), -2.0f), count(at(pixels)), y(sum.size());
  each_tap(w, [&](int64_t out, int64_t in, int64_t) {
    if (in < 0) return;
    count[at(out)] += 1;
    for (int64_t c = 0; c < channels; ++c) {
      sum[at(out * channels + c)] += x[at(in * channels + c)];
      best[at(out * channels + c)] = std::max(best[at(out * channels + c)], x[at(in * channels + c)]);
    }
  });
  PoolF32 g;
  g.x = x.data(), g.x_stride = channels, g.y = y.data(), g.y_stride = channels, g.channels = channels;
  g.row_end = w.out_h, g.window = w;
  k().max_pool_f32(g);
  EXPECT_EQ(y, best);
  k().avg_pool_f32(g);
  for (int64_t i = 0; i < pixels * channels; ++i) sum[at(i)] /= count[at(i / channels)];
  expect_near(y, sum, 1e-6f, "average");
}

TEST_P(Windows, MeansOverPixelsAreExactIntegers) {
  for (int64_t channels : {1, 16, 37, 64}) {
    Random random(16);
    const int64_t pixels = 49, stride = channels + 3;
    const std::vector<uint8_t> x = random.activations(pixels * stride, Fill::kExtreme);
    std::vector<uint8_t> y(at(channels));
    MeanU8 g;
    g.x = x.data(), g.x_stride = stride, g.y = y.data(), g.pixels = pixels, g.channels = channels;
    g.zero_x = 3, g.ratio = 0.9f, g.zero_point = 128;
    k().mean_u8(g);
    for (int64_t c = 0; c < channels; ++c) {
      int32_t sum = 0;
      for (int64_t p = 0; p < pixels; ++p) sum += x[at(p * stride + c)] - 3;
      ASSERT_EQ(y[at(c)], numerics::requantize(sum, 0.9f / 49.0f, 128, 0, 255));
    }
  }
}

}  // namespace
}  // namespace quoin::cpu::test
