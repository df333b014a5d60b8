// Typed graphs compiled into one delegate give exactly the integers of the portable kernels.
#include "harness.hpp"

namespace quoin::cpu::testing {
namespace {

using Ints = std::vector<int64_t>;

class Typed : public ::testing::TestWithParam<int> {
 protected:
  std::mt19937 random{static_cast<uint32_t>(GetParam())};
  Net net{random};
  uint32_t workers = GetParam() % 3 == 0 ? 3 : 1;
  void expect_equal(Net::V out) { expect_same(net.returns({out}), random, workers); }
};

TEST_P(Typed, Conv2dOfAnyShape) {
  Net::Conv c;
  c.groups = net.pick(0, 3) == 0 ? net.pick(2, 3) : 1;
  c.out = c.groups * net.pick(1, 40);
  c.kernel = net.pick(1, 5);
  c.stride = net.pick(1, 3);
  c.dilation = net.pick(1, 2);
  c.pad = net.pick(0, 3);
  c.bias = net.pick(0, 4) != 0;
  c.per_channel = net.pick(0, 3) != 0;
  const auto x = net.input({net.pick(1, 2), c.groups * net.pick(1, 24), net.pick(9, 17), net.pick(9, 20)});
  expect_equal(net.conv2d(x, c));
}

TEST_P(Typed, PointwiseConvWithClamp) {
  const auto x = net.input({net.pick(1, 2), net.pick(1, 70), net.pick(1, 12), net.pick(1, 12)});
  expect_equal(net.clamp(net.conv2d(x, {.out = net.pick(1, 90)}), -0.3, 1.1));
}

TEST_P(Typed, DepthwiseConvBehindPadding) {
  const int64_t channels = net.pick(2, 150), kernel = net.pick(0, 1) == 0 ? 3 : 5;
  auto x = net.input({net.pick(1, 2), channels, net.pick(5, 12), net.pick(5, 12)});
  x = net.same("aten.pad.default", {x},
               {{"pad", Ints{net.pick(0, 2), net.pick(0, 2), net.pick(0, 2), net.pick(0, 2)}},
                {"mode", std::string("constant")},
                {"value", 0.0}});
  x = net.conv2d(x, {.out = channels, .kernel = kernel, .stride = net.pick(1, 2), .groups = channels});
  expect_equal(net.clamp(x));
}

TEST_P(Typed, DepthwiseConvOfOneTapOverManyImages) {
  const int64_t channels = net.pick(2, 70);
  const auto x = net.input({net.pick(2, 6), channels, net.pick(1, 6), net.pick(1, 6)});
  expect_equal(net.conv2d(x, {.out = channels, .groups = channels}));
}

TEST_P(Typed, PaddingThatSomebodyElseReads) {
  auto x = net.input({1, 3, 6, 7});
  x = net.same("aten.pad.default", {x},
               {{"pad", Ints{1, 2, -1, 1}}, {"mode", std::string("constant")}, {"value", 0.0}});
  const auto y = net.conv2d(x, {.out = 5, .kernel = 3});
  expect_same(net.returns({x, y}), random, workers);
}

TEST_P(Typed, LinearOverRows) {
  const auto x = net.input({net.pick(1, 40), net.pick(1, 3), net.pick(1, 200)});
  expect_equal(net.linear(x, net.pick(1, 130), net.pick(0, 1) == 0));
}

TEST_P(Typed, PackedWeights) {
  const DType dtypes[] = {DType::s4, DType::u4, DType::s2};
  net.weight_dtype = dtypes[GetParam() % 3];
  const int64_t channels = net.pick(1, 20);
  auto x = net.input({net.pick(1, 2), channels, net.pick(5, 9), net.pick(5, 9)});
  x = net.conv2d(x, {.out = channels, .kernel = 3, .pad = 1, .groups = net.pick(0, 1) == 0 ? channels : 1});
  expect_equal(net.linear(x, net.pick(1, 40)));
}

TEST_P(Typed, AddAndMulBroadcast) {
  const char* name = net.pick(0, 1) == 0 ? "aten.add.Tensor" : "aten.mul.Tensor";
  const Shape full{2, net.pick(2, 20), net.pick(1, 6), net.pick(2, 9)};
  const Shape shapes[] = {full,      {1, full[1], 1, 1}, {full[1], 1, 1},   {1},
                          {full[3]}, {full[2], full[3]}, {2, 1, full[2], 1}};
  auto a = net.input(full), b = net.input(shapes[GetParam() % 7]);
  if (net.pick(0, 1) == 0) a = net.conv2d(a, {.out = full[1]});
  if (net.pick(0, 1) == 0) std::swap(a, b);
  expect_equal(net.clamp(net.op(name, {a, b}), -1, 2));
}

TEST_P(Typed, AddOfAValueToItself) {
  const auto x = net.input({1, 8, 5, 5});
  expect_equal(net.op("aten.add.Tensor", {x, x}));
}

TEST_P(Typed, AddOfAConstant) {
  const auto x = net.conv2d(net.input({1, 8, 5, 5}), {.out = 6});
  expect_equal(net.op("aten.add.Tensor", {x, net.constant({6, 1, 1})}));
}

TEST_P(Typed, Pools) {
  const auto x = net.input({net.pick(1, 2), net.pick(1, 80), net.pick(6, 12), net.pick(6, 12)});
  const Attrs window{{"kernel_size", Ints{net.pick(2, 3), net.pick(2, 3)}},
                     {"stride", Ints{net.pick(1, 3), net.pick(1, 2)}},
                     {"padding", Ints{net.pick(0, 1), net.pick(0, 1)}}};
  Attrs average = window;
  average["count_include_pad"] = net.pick(0, 1) == 0;
  const auto max = net.same("aten.max_pool2d.default", {x}, window);
  const auto avg = net.op("aten.avg_pool2d.default", {x}, average);
  const auto mean = net.op("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Ints{1, 1}}});
  const auto reduced = net.op("aten.mean.dim", {x}, {{"dim", Ints{-1, 2}}, {"keepdim", false}});
  expect_same(net.returns({max, avg, mean, reduced}), random, workers);
}

TEST_P(Typed, DataMovement) {
  const auto x = net.conv2d(net.input({2, 3, 4, 6}), {.out = 5});
  const auto permuted = net.same("aten.permute.default", {x}, {{"dims", Ints{0, 2, 3, 1}}});
  const auto transposed = net.same("aten.transpose.int", {x}, {{"dim0", int64_t{1}}, {"dim1", int64_t{3}}});
  const auto sliced =
      net.same("aten.slice.Tensor", {x},
               {{"dim", int64_t{1}}, {"start", int64_t{1}}, {"end", int64_t{-1}}, {"step", int64_t{2}}});
  const auto viewed = net.same("aten.view.default", {x}, {{"size", Ints{2, -1}}});
  const auto joined = net.same("aten.cat.default", {x, x}, {{"dim", int64_t{1}}});
  const auto again = net.op("quoin.requantize.default", {x});
  const auto clamped = net.same("aten.relu.default", {again});
  expect_same(net.returns({permuted, transposed, sliced, viewed, joined, clamped}), random, workers);
}

// The shape of an EfficientNet or MobileNet: quantize, stem, blocks with a residual, pool, classifier, dequantize.
TEST_P(Typed, NetworkFromFloatToFloat) {
  net.typed = false;
  auto x = net.input({net.pick(1, 2), 3, 17, 17});
  net.typed = true;
  x = net.quantize(x);
  x = net.same("aten.pad.default", {x}, {{"pad", Ints{0, 1, 0, 1}}, {"mode", std::string("constant")}, {"value", 0.0}});
  x = net.clamp(net.conv2d(x, {.out = 16, .kernel = 3, .stride = 2}));
  const auto before = x;
  x = net.clamp(net.conv2d(x, {.out = 40}));
  x = net.clamp(net.conv2d(x, {.out = 40, .kernel = 3, .pad = 1, .groups = 40}));
  x = net.op("aten.add.Tensor", {before, net.conv2d(x, {.out = 16})});
  x = net.op("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Ints{1, 1}}});
  x = net.same("aten.view.default", {x}, {{"size", Ints{net.dim(x, 0), -1}}});
  x = net.dequantize(net.linear(x, 10));
  expect_equal(x);
}

TEST_P(Typed, EveryTierGivesTheSameIntegers) {
  auto x = net.input({1, 20, 9, 9});
  x = net.conv2d(x, {.out = 36, .kernel = 3, .stride = 2, .pad = 1});
  x = net.op("aten.add.Tensor", {x, net.conv2d(x, {.out = 36, .kernel = 3, .pad = 1, .groups = 36})});
  net.returns({x});
  for (const uint64_t isa : {uint64_t{0}, uint64_t{QUOIN_ISA_AVX2}, FakeHost::machine_isa()})
    expect_same(net.graph, random, workers, 0, isa & FakeHost::machine_isa());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Typed, ::testing::Range(0, 24));

}  // namespace
}  // namespace quoin::cpu::testing
