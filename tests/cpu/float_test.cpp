// Float graphs and dynamically quantized layers agree with the portable kernels up to rounding.
#include "harness.hpp"

namespace quoin::cpu::testing {
namespace {

using Ints = std::vector<int64_t>;

class Real : public ::testing::TestWithParam<int> {
 protected:
  std::mt19937 random{static_cast<uint32_t>(GetParam())};
  Net net{random, false};
  uint32_t workers = GetParam() % 3 == 0 ? 3 : 1;
  void expect_close(std::vector<Net::V> out, float tolerance = 5e-5f) {
    expect_same(net.returns(std::move(out)), random, workers, tolerance);
  }
};

TEST_P(Real, Convolutions) {
  const int64_t groups = net.pick(0, 3) == 0 ? 2 : 1;
  auto x = net.input({net.pick(1, 2), groups * net.pick(1, 20), net.pick(7, 12), net.pick(7, 12)});
  x = net.same("aten.pad.default", {x}, {{"pad", Ints{0, 1, 2, 1}}, {"mode", std::string("constant")}, {"value", 0.0}});
  x = net.conv2d(
      x, {.out = groups * net.pick(1, 40), .kernel = net.pick(1, 3), .stride = net.pick(1, 2), .groups = groups});
  x = net.clamp(x, -1, 1);
  const int64_t channels = net.dim(x, 1);
  const auto y = net.conv2d(x, {.out = channels, .kernel = 3, .pad = 1, .groups = channels, .bias = false});
  const auto z = net.conv2d(net.op("aten.add.Tensor", {x, y}), {.out = 7});
  expect_close({z});
}

TEST_P(Real, DepthwiseConvOfOneTapOverManyImages) {
  const int64_t channels = net.pick(2, 40);
  const auto x = net.input({net.pick(2, 6), channels, net.pick(1, 6), net.pick(1, 6)});
  expect_close({net.conv2d(x, {.out = channels, .groups = channels})});
}

TEST_P(Real, PoolsAndHead) {
  auto x = net.conv2d(net.input({2, 4, 8, 8}), {.out = net.pick(3, 40)});
  const auto max = net.op("aten.max_pool2d.default", {x}, {{"kernel_size", Ints{2, 2}}});
  const auto avg = net.op("aten.avg_pool2d.default", {x}, {{"kernel_size", Ints{8, 8}}, {"count_include_pad", false}});
  auto y = net.op("aten.flatten.using_ints", {avg}, {{"start_dim", int64_t{1}}});
  y = net.op("aten.softmax.int", {net.op("aten.relu.default", {net.linear(y, 12)})}, {{"dim", int64_t{-1}}});
  expect_close({max, y, net.op("aten.mean.dim", {x}, {{"dim", Ints{1}}, {"keepdim", true}})});
}

TEST_P(Real, Arithmetic) {
  const Shape full{2, net.pick(2, 9), net.pick(1, 6), net.pick(2, 9)};
  const Shape shapes[] = {full, {1, full[1], 1, 1}, {1}, {full[3]}, {full[2], full[3]}, {2, 1, full[2], 1}};
  const auto a = net.input(full), b = net.input(shapes[GetParam() % 6]);
  const auto one = net.op("aten.add.Tensor", {net.op("aten.mul.Tensor", {b, b}), net.constant({1})});
  expect_close({net.op("aten.sub.Tensor", {a, b}), net.op("aten.relu.default", {net.op("aten.mul.Tensor", {b, a})}),
                net.op("aten.div.Tensor", {a, one}), net.op("aten.clamp_min.default", {a}, {{"min", 0.5}})});
}

TEST_P(Real, Functions) {
  const auto x = net.input({3, net.pick(1, 70)});
  expect_close({net.op("aten.gelu.default", {x}),
                net.op("aten.gelu.default", {x}, {{"approximate", std::string("tanh")}}),
                net.op("aten.tanh.default", {x}), net.op("aten.sigmoid.default", {x}), net.op("aten.silu.default", {x}),
                net.op("aten.hardswish.default", {x}), net.op("aten.exp.default", {x})});
}

TEST_P(Real, DataMovement) {
  const auto x = net.conv2d(net.input({2, 3, 4, 6}), {.out = 5});
  const auto row = net.input({2, 1, 6});
  expect_close(
      {net.op("aten.permute.default", {x}, {{"dims", Ints{0, 2, 3, 1}}}),
       net.op("aten.expand.default", {row}, {{"size", Ints{2, 4, -1}}}),
       net.op("aten.select.int", {x}, {{"dim", int64_t{1}}, {"index", int64_t{-2}}}),
       net.op("aten.cat.default", {x, x, x}, {{"dim", int64_t{2}}}),
       net.op("aten.pad.default", {x}, {{"pad", Ints{1, 0, -1, 2}}, {"mode", std::string("constant")}, {"value", 1.5}}),
       net.op("aten.slice.Tensor", {row}, {{"dim", int64_t{2}}, {"start", int64_t{2}}}), x});
}

// One attention layer as a sentence encoder has it, with dynamically quantized projections.
TEST_P(Real, AttentionLayer) {
  const int64_t tokens = net.pick(3, 20), heads = net.pick(1, 4), width = 8 * net.pick(1, 4), dim = heads * width;
  const bool dynamic = GetParam() % 2 == 0;
  const auto project = [&](Net::V x, int64_t n) { return dynamic ? net.linear_dynamic(x, n) : net.linear(x, n); };
  const auto split = [&](Net::V x) {
    x = net.op("aten.view.default", {x}, {{"size", Ints{1, tokens, heads, width}}});
    return net.op("aten.transpose.int", {x}, {{"dim0", int64_t{1}}, {"dim1", int64_t{2}}});
  };
  const auto x = net.input({1, tokens, dim}), mask = net.input({1, 1, tokens, tokens});
  const auto keys =
      net.op("aten.transpose.int", {split(project(x, dim))}, {{"dim0", int64_t{2}}, {"dim1", int64_t{3}}});
  auto scores = net.op("aten.matmul.default", {split(project(x, dim)), keys});
  scores = net.op("aten.mul.Tensor", {scores, net.constant({})});
  scores = net.op("aten.softmax.int", {net.op("aten.add.Tensor", {scores, mask})}, {{"dim", int64_t{-1}}});
  auto y = net.op("aten.matmul.default", {scores, split(project(x, dim))});
  y = net.op("aten.transpose.int", {y}, {{"dim0", int64_t{1}}, {"dim1", int64_t{2}}});
  y = net.op("aten.reshape.default", {y}, {{"shape", Ints{1, tokens, -1}}});
  y = net.op("aten.add.Tensor", {net.op("aten.gelu.default", {net.linear(y, dim)}), x});
  y = net.op("aten.layer_norm.default", {y, net.constant({dim}), net.constant({dim})},
             {{"normalized_shape", Ints{dim}}, {"eps", 1e-12}});
  expect_close({y}, 5e-4f);
}

TEST_P(Real, DynamicLinearEqualsThePortableKernel) {
  const auto x = net.input({net.pick(1, 40), net.pick(2, 300)});
  expect_close({net.op("aten.relu.default", {net.linear_dynamic(x, net.pick(1, 90), net.pick(0, 1) == 0)})}, 1e-6f);
}

TEST_P(Real, DynamicLinearWithPackedWeight) {
  const DType dtypes[] = {DType::s4, DType::u4, DType::s2};
  net.weight_dtype = dtypes[GetParam() % 3];
  expect_close({net.linear_dynamic(net.input({net.pick(1, 20), net.pick(2, 200)}), net.pick(1, 50))}, 1e-6f);
}

TEST_P(Real, MatrixProducts) {
  const auto a = net.input({3, 5, 7}), b = net.input({3, 7, net.pick(1, 40)}), c = net.constant({7, 9});
  expect_close({net.op("aten.bmm.default", {a, b}), net.op("aten.matmul.default", {a, c})});
}

INSTANTIATE_TEST_SUITE_P(Seeds, Real, ::testing::Range(0, 12));

}  // namespace
}  // namespace quoin::cpu::testing
