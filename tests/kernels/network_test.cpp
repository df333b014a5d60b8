// Float kernels of network layers against naive formulas written independently.
#include <cmath>

#include "op_runner.hpp"

namespace quoin::test {
namespace {

using Ints = std::vector<int64_t>;

struct Conv {
  int64_t channels, outputs, kernel, stride, pad, dilation, groups;
};

class Conv2dTest : public testing::TestWithParam<Conv> {};

TEST_P(Conv2dTest, EqualsTheDefinition) {
  const Conv c = GetParam();
  Random random(7);
  const Tensor x = random.reals({2, c.channels, 9, 11}),
               w = random.reals({c.outputs, c.channels / c.groups, c.kernel, c.kernel});
  const Tensor b = random.reals({c.outputs});
  const Tensor y = Op("aten.conv2d.default")
                       .in(x)
                       .in(w)
                       .in(b)
                       .attr("stride", Ints{c.stride})
                       .attr("padding", Ints{c.pad})
                       .attr("dilation", Ints{c.dilation})
                       .attr("groups", c.groups)
                       .run();
  const int64_t oh = y.shape()[2], ow = y.shape()[3], group_in = c.channels / c.groups,
                group_out = c.outputs / c.groups;
  const auto at = [&](int64_t n, int64_t ci, int64_t h, int64_t v) {
    return h < 0 || h >= 9 || v < 0 || v >= 11
               ? 0.0
               : static_cast<double>(x.as<float>()[static_cast<size_t>(((n * c.channels + ci) * 9 + h) * 11 + v)]);
  };
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t ow_i = i % ow, oh_i = i / ow % oh, co = i / ow / oh % c.outputs, n = i / ow / oh / c.outputs;
    double sum = static_cast<double>(b.as<float>()[static_cast<size_t>(co)]);
    for (int64_t ci = 0; ci < group_in; ++ci)
      for (int64_t k = 0; k < c.kernel * c.kernel; ++k)
        sum += at(n, co / group_out * group_in + ci, oh_i * c.stride - c.pad + k / c.kernel * c.dilation,
                  ow_i * c.stride - c.pad + k % c.kernel * c.dilation) *
               static_cast<double>(w.as<float>()[static_cast<size_t>((co * group_in + ci) * c.kernel * c.kernel + k)]);
    ASSERT_NEAR(y.as<float>()[static_cast<size_t>(i)], sum, 1e-4) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv2dTest,
                         testing::Values(Conv{3, 4, 3, 1, 0, 1, 1}, Conv{3, 5, 3, 2, 1, 1, 1},
                                         Conv{4, 4, 3, 1, 1, 1, 4}, Conv{4, 6, 3, 1, 2, 2, 2},
                                         Conv{6, 40, 1, 1, 0, 1, 1}, Conv{2, 2, 5, 3, 4, 1, 1}));

TEST(Conv1d, EqualsAHandComputedSum) {
  const Tensor y = Op("aten.conv1d.default")
                       .in(tensor<float>({1, 1, 4}, {1, 2, 3, 4}))
                       .in(tensor<float>({1, 1, 2}, {10, 1}))
                       .attr("padding", Ints{1})
                       .run();
  EXPECT_EQ(elements<float>(y), (std::vector<float>{1, 12, 23, 34, 40}));
}

// The transposed convolution is the gradient of the convolution: scatter every input element over its window.
TEST(ConvTranspose2d, EqualsTheScatterDefinition) {
  Random random(3);
  const Tensor x = random.reals({2, 4, 3, 4}), w = random.reals({4, 3, 3, 2}), b = random.reals({6});
  const Tensor y = Op("aten.conv_transpose2d.input")
                       .in(x)
                       .in(w)
                       .in(b)
                       .attr("stride", Ints{2, 3})
                       .attr("padding", Ints{1, 0})
                       .attr("output_padding", Ints{1, 2})
                       .attr("groups", int64_t{2})
                       .attr("dilation", Ints{1, 2})
                       .run();
  ASSERT_EQ(y.shape(), (Shape{2, 6, 6, 14}));
  std::vector<double> expected(static_cast<size_t>(y.size()));
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<double>(b.as<float>()[i / 84 % 6]);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t iw = i % 4, ih = i / 4 % 3, ci = i / 12 % 4, n = i / 48;
    for (int64_t k = 0; k < 3 * 6; ++k) {
      const int64_t kw = k % 2, kh = k / 2 % 3, co = k / 6, oh = ih * 2 - 1 + kh, ow = iw * 3 + kw * 2;
      if (oh < 0 || oh >= 6 || ow >= 14) continue;
      expected[static_cast<size_t>(((n * 6 + ci / 2 * 3 + co) * 6 + oh) * 14 + ow)] +=
          static_cast<double>(x.as<float>()[static_cast<size_t>(i)]) *
          static_cast<double>(w.as<float>()[static_cast<size_t>(((ci * 3 + co) * 3 + kh) * 2 + kw)]);
    }
  }
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(y.as<float>()[i], expected[i], 1e-4) << i;
}

TEST(Linear, MultipliesEveryRow) {
  const Tensor y = Op("aten.linear.default")
                       .in(tensor<float>({2, 1, 3}, {1, 2, 3, 4, 5, 6}))
                       .in(tensor<float>({2, 3}, {1, 0, 1, 0, 1, 0}))
                       .in(tensor<float>({2}, {10, 20}))
                       .run();
  EXPECT_EQ(y.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(elements<float>(y), (std::vector<float>{14, 22, 20, 25}));
}

TEST(Linear, SumsLongRows) {
  Random random(5);
  const Tensor x = random.reals({33, 131}), w = random.reals({70, 131});
  const Tensor y = Op("aten.linear.default").in(x).in(w).run();
  for (int64_t i = 0; i < y.size(); ++i) {
    double sum = 0;
    for (int64_t k = 0; k < 131; ++k)
      sum += static_cast<double>(x.as<float>()[static_cast<size_t>(i / 70 * 131 + k)]) *
             static_cast<double>(w.as<float>()[static_cast<size_t>(i % 70 * 131 + k)]);
    ASSERT_NEAR(y.as<float>()[static_cast<size_t>(i)], sum, 1e-4);
  }
}

TEST(Matmul, BroadcastsTheBatch) {
  Random random(6);
  const Tensor a = random.reals({2, 1, 3, 5}), b = random.reals({4, 5, 70});
  const Tensor y = Op("aten.matmul.default").in(a).in(b).run();
  ASSERT_EQ(y.shape(), (Shape{2, 4, 3, 70}));
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t c = i % 70, r = i / 70 % 3, j = i / 210 % 4, n = i / 840;
    double sum = 0;
    for (int64_t k = 0; k < 5; ++k)
      sum += static_cast<double>(a.as<float>()[static_cast<size_t>((n * 3 + r) * 5 + k)]) *
             static_cast<double>(b.as<float>()[static_cast<size_t>((j * 5 + k) * 70 + c)]);
    ASSERT_NEAR(y.as<float>()[static_cast<size_t>(i)], sum, 1e-5);
  }
}

TEST(Matmul, TakesVectors) {
  const Tensor v = tensor<float>({2}, {1, 2}), m = tensor<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(elements<float>(Op("aten.matmul.default").in(v).in(v).run()), (std::vector<float>{5}));
  EXPECT_EQ(elements<float>(Op("aten.matmul.default").in(m).in(v).run()), (std::vector<float>{5, 11}));
  EXPECT_EQ(elements<float>(Op("aten.matmul.default").in(v).in(m).run()), (std::vector<float>{7, 10}));
}

TEST(BatchNorm, UsesTheRunningStatistics) {
  const Tensor y = Op("aten.batch_norm.default")
                       .in(tensor<float>({1, 2, 2}, {1, 2, 3, 4}))
                       .in(tensor<float>({2}, {2, 1}))
                       .in(tensor<float>({2}, {0.5, 0}))
                       .in(tensor<float>({2}, {1, 3}))
                       .in(tensor<float>({2}, {3, 0}))
                       .attr("eps", 1.0)
                       .run();
  expect_near(y, {0.5f, 1.5f, 0, 1});
}

TEST(LayerNorm, NormalisesTheLastDims) {
  const Tensor y = Op("aten.layer_norm.default")
                       .in(tensor<float>({2, 2}, {1, 3, 10, 10}))
                       .in(tensor<float>({2}, {1, 2}))
                       .in(tensor<float>({2}, {0, 5}))
                       .attr("normalized_shape", Ints{2})
                       .attr("eps", 0.0)
                       .run();
  EXPECT_NEAR(y.as<float>()[0], -1, 1e-6);
  EXPECT_NEAR(y.as<float>()[1], 7, 1e-6);
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  const Tensor y = Op("aten.rms_norm.default")
                       .in(tensor<float>({1, 2}, {3, 4}))
                       .attr("normalized_shape", Ints{2})
                       .attr("eps", 0.0)
                       .run();
  expect_near(y, {3 / std::sqrt(12.5f), 4 / std::sqrt(12.5f)});
}

TEST(GroupNorm, NormalisesEachGroup) {
  const Tensor y = Op("aten.group_norm.default")
                       .in(tensor<float>({1, 4, 1}, {1, 3, 10, 30}))
                       .in(tensor<float>({4}, {1, 1, 2, 2}))
                       .attr("num_groups", int64_t{2})
                       .attr("eps", 0.0)
                       .run();
  expect_near(y, {-1, 1, -2, 2});
}

TEST(Softmax, SumsToOneAlongTheDim) {
  const Tensor x = tensor<float>({2, 2}, {0, 1000, std::log(3.0f), 1000});
  expect_near(Op("aten.softmax.int").in(x).attr("dim", int64_t{0}).run(), {0.25f, 0.5f, 0.75f, 0.5f});
  expect_near(Op("aten.log_softmax.int").in(x).attr("dim", int64_t{0}).run(),
              {std::log(0.25f), std::log(0.5f), std::log(0.75f), std::log(0.5f)});
}

TEST(MaxPool2d, SkipsThePadding) {
  const Tensor x = tensor<float>({1, 1, 2, 3}, {-1, -2, -3, -4, -5, -6});
  const Tensor y = Op("aten.max_pool2d.default")
                       .in(x)
                       .attr("kernel_size", Ints{2, 2})
                       .attr("stride", Ints{1, 2})
                       .attr("padding", Ints{1, 1})
                       .run();
  EXPECT_EQ(y.shape(), (Shape{1, 1, 3, 2}));
  EXPECT_EQ(elements<float>(y), (std::vector<float>{-1, -2, -1, -2, -4, -5}));
}

Op average(bool count_pad) {
  Op op("aten.avg_pool2d.default");
  op.in(tensor<float>({1, 1, 2, 2}, {1, 2, 3, 4}))
      .attr("kernel_size", Ints{2, 2})
      .attr("stride", Ints{2, 2})
      .attr("padding", Ints{1, 1})
      .attr("count_include_pad", count_pad);
  return op;
}

TEST(AvgPool2d, CountsPaddingAsAsked) {
  EXPECT_EQ(elements<float>(average(true).run()), (std::vector<float>{0.25f, 0.5f, 0.75f, 1}));
  EXPECT_EQ(elements<float>(average(false).run()), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(elements<float>(average(false).attr("divisor_override", int64_t{2}).run()),
            (std::vector<float>{0.5f, 1, 1.5f, 2}));
}

TEST(AdaptiveAvgPool2d, SplitsUnevenly) {
  const Tensor y = Op("aten.adaptive_avg_pool2d.default")
                       .in(tensor<float>({1, 1, 3}, {1, 2, 6}))
                       .attr("output_size", Ints{1, 2})
                       .run();
  EXPECT_EQ(elements<float>(y), (std::vector<float>{1.5f, 4}));
}

TEST(Upsample, NearestRepeatsAndBilinearBlends) {
  const Tensor x = tensor<float>({1, 1, 1, 2}, {0, 4});
  EXPECT_EQ(elements<float>(Op("aten.upsample_nearest2d.vec").in(x).attr("output_size", Ints{2, 4}).run()),
            (std::vector<float>{0, 0, 4, 4, 0, 0, 4, 4}));
  expect_near(Op("aten.upsample_bilinear2d.vec").in(x).attr("scale_factors", std::vector<double>{1, 2}).run(),
              {0, 1, 3, 4});
  expect_near(
      Op("aten.upsample_bilinear2d.vec").in(x).attr("output_size", Ints{1, 3}).attr("align_corners", true).run(),
      {0, 2, 4});
}

}  // namespace
}  // namespace quoin::test
