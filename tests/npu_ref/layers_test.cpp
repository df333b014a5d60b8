// Every kind of layer gives the integers of the portable kernels, whatever the shape, the bands and the threads.
#include "device.hpp"

namespace quoin::npu::testing {
namespace {

// Seeds; odd ones compute on two threads, every third in int16.
class Layers : public ::testing::TestWithParam<int> {
 protected:
  Device device{GetParam() % 2 == 0 ? 1u : 2u};
  const bool wide = GetParam() % 3 == 2;
  Net net{static_cast<uint32_t>(GetParam()), wide ? DType::s16 : DType::s8};
  // Small buffers make bands; what one row needs still fits.
  Settings settings = Settings().sram_kib(GetParam() % 4 < 2 ? 512 : 64).fuse(GetParam() % 5 != 0);
  int64_t pick(int64_t low, int64_t high) { return net.dice.between(low, high); }
  // int16 has sums of 2^24 and more, which the portable kernels round twice.
  void expect_equal(std::vector<Net::V> outputs) {
    net.returns(std::move(outputs));
    expect_same(device, net, settings, wide ? 1 : 0);
  }
  // Sums of int16 must not reach 2^31 in the worst case.
  int64_t channels() { return wide ? pick(1, 20) : pick(1, 70); }
};

TEST_P(Layers, Convolution) {
  const int64_t kernel = pick(1, wide ? 3 : 5);
  const auto x = net.input({1, channels(), pick(5, 20), pick(5, 20)});
  expect_equal({net.conv2d(x, {.out = pick(1, 40),
                               .kernel = kernel,
                               .stride = pick(1, 3),
                               .pad = pick(0, kernel - 1),
                               .bias = pick(0, 3) != 0,
                               .per_channel = pick(0, 3) != 0})});
}

TEST_P(Layers, PointwiseConvolutionWithClamp) {
  const auto x = net.input({1, channels(), pick(1, 12), pick(1, 12)});
  expect_equal({net.clamp(net.conv2d(x, {.out = pick(1, 50)}), -1.5, 3)});
}

TEST_P(Layers, Depthwise) {
  const int64_t n = pick(2, 70), kernel = pick(1, 5);
  const auto x = net.input({1, n, pick(5, 20), pick(5, 20)});
  expect_equal({net.clamp(
      net.conv2d(x, {.out = n, .kernel = kernel, .stride = pick(1, 2), .pad = pick(0, kernel - 1), .groups = n}))});
}

TEST_P(Layers, ConvolutionBehindPadding) {
  const auto x = net.pad(net.input({1, 5, pick(4, 9), pick(4, 9)}), {pick(0, 4), pick(0, 4), pick(0, 4), pick(0, 4)});
  const auto y = net.conv2d(x, {.kernel = 3, .stride = pick(1, 2)});
  pick(0, 2) == 0 ? expect_equal({x, y}) : expect_equal({y});
}

TEST_P(Layers, Linear) {
  const auto x = net.input({1, wide ? pick(1, 300) : pick(1, 2000)});
  const auto y = net.linear(x, {.out = pick(1, 90), .bias = pick(0, 1) == 0, .exponent = -2});
  expect_equal({pick(0, 1) == 0 ? y : net.same("aten.relu.default", {y})});
}

TEST_P(Layers, AddOfScalesUpTo256Apart) {
  const Shape shape{1, pick(1, 40), pick(1, 9), pick(1, 9)};
  const int low = static_cast<int>(pick(-9, -3));
  const auto a = net.input(shape, low + static_cast<int>(pick(0, 8))), b = net.input(shape, low);
  expect_equal({net.clamp(net.op("aten.add.Tensor", {a, b}, {}, low + static_cast<int>(pick(0, 12))), -2, 2),
                net.op("aten.add.Tensor", {b, b}, {}, low + 1)});
}

TEST_P(Layers, MaxPool) {
  const int64_t kernel = pick(2, 4);
  const auto x = net.input({1, pick(1, 40), pick(6, 20), pick(6, 20)});
  expect_equal({net.same("aten.max_pool2d.default", {x},
                         {{"kernel_size", Ints{kernel, kernel}},
                          {"stride", Ints{pick(1, 3), pick(1, 3)}},
                          {"padding", Ints{pick(0, kernel / 2), pick(0, kernel / 2)}},
                          {"ceil_mode", pick(0, 1) == 0}})});
}

TEST_P(Layers, AveragesOfPowersOfTwoAreExact) {
  const auto x = net.input({1, pick(1, 40), 8, 8});
  const auto window = [](int64_t kernel, int64_t pad) {
    return Attrs{{"kernel_size", Ints{kernel, kernel}}, {"stride", Ints{2, 2}}, {"padding", Ints{pad, pad}}};
  };
  expect_equal({net.op("aten.avg_pool2d.default", {x}, window(2, 0), static_cast<int>(pick(-6, -2))),
                net.op("aten.avg_pool2d.default", {x}, window(4, 2), static_cast<int>(pick(-6, -2))),
                net.op("aten.mean.dim", {x}, {{"dim", Ints{-1, 2}}, {"keepdim", pick(0, 1) == 0}}, -6),
                net.op("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Ints{4, 2}}}, -3)});
}

// The portable kernels multiply by a rounded reciprocal: results half-way between two steps may differ.
TEST_P(Layers, OtherAveragesAreWithinOneStep) {
  const auto x = net.input({1, pick(1, 40), pick(1, 15), pick(1, 15)});
  net.returns({net.op("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Ints{1, 1}}}, -5)});
  expect_same(device, net, settings, 1);
}

TEST_P(Layers, MovedAndRescaledTensors) {
  const auto x = net.input({1, 32, pick(1, 9), pick(1, 9)}),
             tail = net.input({1, pick(1, 20), net.graph.value(x).type.shape[2], net.graph.value(x).type.shape[3]});
  const auto joined = net.same("aten.cat.default", {x, x, tail}, {{"dim", pick(0, 1) == 0 ? int64_t{1} : int64_t{-3}}});
  const auto padded = net.pad(joined, {pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3)});
  const auto clamped = net.same("aten.clamp.default", {padded}, {{"min", -0.5}});
  const auto finer = net.op("quoin.requantize.default", {clamped}, {}, static_cast<int>(pick(-12, 4)));
  expect_equal({joined, padded, clamped, finer});
}

TEST_P(Layers, BetweenInt8AndInt16) {
  const auto x = net.input({1, pick(1, 20), 3, 5}, -6);
  net.set_dtype(wide ? DType::s8 : DType::s16);
  const auto y = net.op("quoin.requantize.default", {x}, {}, wide ? 2 : -12);
  net.set_dtype(wide ? DType::s16 : DType::s8);
  expect_equal({y, net.op("quoin.requantize.default", {y}, {}, -5)});
}

TEST_P(Layers, ViewsThatMoveNothing) {
  const auto x =
      net.op("aten.adaptive_avg_pool2d.default", {net.input({1, pick(1, 40), 4, 4})}, {{"output_size", Ints{1, 1}}});
  const auto row = net.same("aten.flatten.using_ints", {x}, {{"start_dim", int64_t{1}}, {"end_dim", int64_t{-1}}});
  expect_equal({row, net.linear(row, {}), net.same("aten.view.default", {row}, {{"size", Ints{1, -1, 1}}})});
}

TEST_P(Layers, NetworkWithResidualsAndClassifier) {
  auto x = net.conv2d(net.input({1, 3, 17, 19}), {.out = 16, .kernel = 3, .stride = 2, .pad = 1});
  x = net.clamp(x);
  auto y = net.clamp(net.conv2d(x, {.out = 40}));
  y = net.clamp(net.conv2d(net.pad(y, {1, 1, 1, 1}), {.out = 40, .kernel = 3, .groups = 40}));
  y = net.op("aten.add.Tensor", {x, net.conv2d(y, {.out = 16, .weight_exponent = -9})}, {}, -3);
  y = net.op("aten.mean.dim", {net.same("aten.relu.default", {y})}, {{"dim", Ints{2, 3}}, {"keepdim", false}}, -5);
  net.returns({net.linear(y, {.out = 10, .exponent = -3})});
  // A mean half-way between two steps, or an int16 sum above 2^24, moves the classifier's sums by a few units.
  expect_same(device, net, settings, wide ? 3 : 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Layers, ::testing::Range(0, 24));

// -- shapes at the ends

TEST(Shapes, FromOneToOddInEveryDimension) {
  const Device device;
  for (const int64_t channels : {1, 15, 16, 17})
    for (const int64_t height : {1, 3})
      for (const int64_t width : {1, 2, 5}) {
        SCOPED_TRACE(::testing::Message() << channels << " x " << height << " x " << width);
        Net net(static_cast<uint32_t>(channels * 100 + height * 10 + width));
        const auto x = net.input({1, channels, height, width});
        const auto y = net.conv2d(x, {.out = 17, .kernel = 3, .pad = 1});
        net.returns(
            {net.conv2d(y, {.out = 17, .kernel = 3, .pad = 1, .groups = 17}), net.op("aten.add.Tensor", {x, x})});
        expect_same(device, net);
      }
}

TEST(Shapes, HugeRowsInManyBands) {
  const Device device(2);
  Net net(1);
  const auto x = net.input({1, 3, 40, 1000});
  net.returns({net.conv2d(x, {.out = 20, .kernel = 3, .pad = 1})});
  expect_same(device, net, Settings().sram_kib(256));
}

// Half-way sums, both signs, at the ends of the type: weight 1, shifts of one and more.
TEST(Rounding, IsHalfToEvenAndSaturates) {
  const Device device;
  for (int shift = 0; shift <= 8; ++shift) {
    Net net(1);
    const auto x = net.input({1, 256});
    const auto y = net.op("quoin.requantize.default", {x}, {}, -4 + shift);
    net.returns({y, net.op("quoin.requantize.default", {x}, {}, -4 - shift)});
    Tensor values(DType::s8, {1, 256});
    for (int i = 0; i < 256; ++i) values.as<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i - 128);
    const std::vector<Tensor> inputs{values};
    const auto found = device.run(net.graph, device.compile(net.graph), inputs),
               expected = device.portable(net.graph, inputs);
    for (size_t i = 0; i < 256; ++i) {
      EXPECT_EQ(int{found[0].as<int8_t>()[i]}, int{expected[0].as<int8_t>()[i]}) << i << " >> " << shift;
      EXPECT_EQ(int{found[1].as<int8_t>()[i]}, int{expected[1].as<int8_t>()[i]}) << i << " << " << shift;
    }
  }
}

}  // namespace
}  // namespace quoin::npu::testing
