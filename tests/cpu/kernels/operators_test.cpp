// Role 4: single float operators, driven through the ABI as the host drives them.
#include <cmath>
#include <functional>

#include <gtest/gtest-spi.h>

#include "graph_builder.hpp"

namespace quoin::cpu::test {
namespace {

class Operators : public PerTier {
 protected:
  std::vector<float> run(OneNode& node) {
    OneNode::Prepared prepared(node, k().isa);
    EXPECT_TRUE(prepared.accepted());
    return prepared.accepted() ? prepared.run() : std::vector<float>();
  }
};
INSTANTIATE_TEST_SUITE_P(Tiers, Operators, ::testing::ValuesIn(usable_tiers()), tier_name);

bool accepted(OneNode& node) { return OneNode::Prepared(node, 0).accepted(); }
size_t at(int64_t i) { return static_cast<size_t>(i); }

struct Conv {
  int64_t batch = 1, channels = 6, height = 9, width = 11, filters = 8, kernel_h = 3, kernel_w = 3;
  int64_t groups = 1, stride_h = 1, stride_w = 1, pad_h = 1, pad_w = 1, dilation = 1;
  int64_t out_h() const { return (height + 2 * pad_h - dilation * (kernel_h - 1) - 1) / stride_h + 1; }
  int64_t out_w() const { return (width + 2 * pad_w - dilation * (kernel_w - 1) - 1) / stride_w + 1; }
};

std::vector<float> reference(const Conv& c, const std::vector<float>& x, const std::vector<float>& w,
                             const std::vector<float>& bias) {
  std::vector<float> y;
  const int64_t depth = c.channels / c.groups, per_group = c.filters / c.groups;
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t f = 0; f < c.filters; ++f)
      for (int64_t oh = 0; oh < c.out_h(); ++oh)
        for (int64_t ow = 0; ow < c.out_w(); ++ow) {
          double sum = bias.empty() ? 0 : bias[at(f)];
          for (int64_t d = 0; d < depth; ++d)
            for (int64_t kh = 0; kh < c.kernel_h; ++kh)
              for (int64_t kw = 0; kw < c.kernel_w; ++kw) {
                const int64_t ih = oh * c.stride_h - c.pad_h + kh * c.dilation,
                              iw = ow * c.stride_w - c.pad_w + kw * c.dilation;
                if (ih < 0 || ih >= c.height || iw < 0 || iw >= c.width) continue;
                const int64_t channel = n * c.channels + f / per_group * depth + d;
                sum += double{x[at((channel * c.height + ih) * c.width + iw)]} *
                       w[at(((f * depth + d) * c.kernel_h + kh) * c.kernel_w + kw)];
              }
          y.push_back(static_cast<float>(sum));
        }
  return y;
}

TEST_P(Operators, ConvolutionMatchesForEveryPath) {
  const Conv cases[] = {
      {},
      {.batch = 2, .kernel_h = 1, .kernel_w = 1, .pad_h = 0, .pad_w = 0},
      {.kernel_h = 1, .kernel_w = 1, .stride_h = 2, .stride_w = 2, .pad_h = 0, .pad_w = 0},
      {.channels = 3, .height = 40, .width = 40, .filters = 20, .stride_h = 2, .stride_w = 2},
      {.batch = 2, .filters = 6, .groups = 6},
      {.filters = 12, .groups = 6, .stride_h = 2, .stride_w = 2},
      {.height = 20,
       .width = 37,
       .filters = 6,
       .kernel_h = 5,
       .kernel_w = 5,
       .groups = 6,
       .stride_h = 2,
       .stride_w = 2,
       .pad_h = 2,
       .pad_w = 2},
      {.filters = 6, .kernel_h = 5, .kernel_w = 3, .groups = 6, .stride_h = 1, .stride_w = 3, .pad_h = 0, .pad_w = 4},
      {.filters = 6, .groups = 6, .pad_h = 3, .pad_w = 2, .dilation = 2},
      {.filters = 6, .groups = 6, .stride_h = 3, .stride_w = 4, .pad_h = 0, .pad_w = 0},
      {.filters = 8, .groups = 2},
      {.channels = 1,
       .height = 49,
       .width = 10,
       .filters = 64,
       .kernel_h = 10,
       .kernel_w = 4,
       .stride_h = 2,
       .stride_w = 2,
       .pad_h = 5},
      {.channels = 40, .height = 30, .width = 30, .filters = 5, .dilation = 2},
  };
  int number = 0;
  for (const Conv& c : cases)
    for (bool with_bias : {true, false}) {
      SCOPED_TRACE(::testing::Message() << "case " << number++ / 2 << (with_bias ? " with bias" : ""));
      Random random(31);
      const std::vector<float> x = random.reals(c.batch * c.channels * c.height * c.width);
      const std::vector<float> w = random.reals(c.filters * c.channels / c.groups * c.kernel_h * c.kernel_w);
      const std::vector<float> bias = with_bias ? random.reals(c.filters) : std::vector<float>();
      OneNode node("aten.conv2d.default");
      node.input({c.batch, c.channels, c.height, c.width}, x);
      node.input({c.filters, c.channels / c.groups, c.kernel_h, c.kernel_w}, w, true);
      if (with_bias) {
        node.input({c.filters}, bias, true);
      } else {
        node.absent();
      }
      node.ints("stride", {c.stride_h, c.stride_w}).ints("padding", {c.pad_h, c.pad_w});
      node.ints("dilation", {c.dilation, c.dilation}).ints("groups", {c.groups});
      node.output({c.batch, c.filters, c.out_h(), c.out_w()});
      expect_near(run(node), reference(c, x, w, bias), 1e-5f, "conv2d");
    }
}

std::vector<float> product_of(int64_t batch, int64_t m, int64_t n, int64_t depth,
                              const std::function<double(int64_t, int64_t, int64_t)>& a,
                              const std::function<double(int64_t, int64_t, int64_t)>& b) {
  std::vector<float> y;
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double sum = 0;
        for (int64_t d = 0; d < depth; ++d) sum += a(i, r, d) * b(i, d, c);
        y.push_back(static_cast<float>(sum));
      }
  return y;
}

TEST_P(Operators, LinearWorksWithConstantAndComputedWeights) {
  for (bool constant : {true, false})
    for (int64_t rows : {1, 5, 100}) {
      Random random(32);
      const int64_t n = 300, depth = 37;
      const std::vector<float> x = random.reals(rows * depth), w = random.reals(n * depth);
      OneNode node("aten.linear.default");
      node.input({1, rows, depth}, x).input({n, depth}, w, constant).absent().output({1, rows, n});
      const auto want = product_of(
          1, rows, n, depth, [&](int64_t, int64_t r, int64_t d) { return x[at(r * depth + d)]; },
          [&](int64_t, int64_t d, int64_t c) { return w[at(c * depth + d)]; });
      expect_near(run(node), want, 1e-5f, "linear");
    }
}

TEST_P(Operators, MatMulTakesEqualBatchesAndOneSharedMatrix) {
  Random random(33);
  const int64_t batch = 3, m = 50, n = 29, depth = 18;
  const std::vector<float> a = random.reals(batch * m * depth), b = random.reals(batch * depth * n);
  const auto left = [&](int64_t i, int64_t r, int64_t d) { return a[at((i * m + r) * depth + d)]; };
  OneNode batched("aten.matmul.default");
  batched.input({1, batch, m, depth}, a).input({1, batch, depth, n}, b).output({1, batch, m, n});
  expect_near(run(batched),
              product_of(batch, m, n, depth, left,
                         [&](int64_t i, int64_t d, int64_t c) { return b[at((i * depth + d) * n + c)]; }),
              1e-5f, "batched");
  OneNode shared("aten.matmul.default");
  shared.input({batch, m, depth}, a).input({depth, n}, random.reals(depth * n)).output({batch, m, n});
  EXPECT_EQ(run(shared).size(), at(batch * m * n));
  OneNode broadcast("aten.matmul.default");
  broadcast.input({batch, m, depth}, a).input({1, depth, n}, random.reals(depth * n)).output({batch, m, n});
  EXPECT_FALSE(accepted(broadcast));
}

TEST_P(Operators, AddBroadcastsOverLeadingDimsAndDeclinesTheRest) {
  Random random(34);
  const std::vector<float> a = random.reals(2 * 3 * 40), row = random.reals(40), one = {0.25f};
  OneNode equal("aten.add.Tensor"), leading("aten.add.Tensor"), single("aten.add.Tensor");
  const std::vector<float> twice = run(equal.input({2, 3, 40}, a).input({2, 3, 40}, a).output({2, 3, 40}));
  const std::vector<float> rows = run(leading.input({2, 3, 40}, a).input({1, 1, 40}, row).output({2, 3, 40}));
  const std::vector<float> shifted = run(single.input({2, 3, 40}, a).input({1}, one).output({2, 3, 40}));
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(twice[i], a[i] + a[i]);
    ASSERT_EQ(rows[i], a[i] + row[i % 40]);
    ASSERT_EQ(shifted[i], a[i] + 0.25f);
  }
  OneNode scaled("aten.add.Tensor"), columns("aten.add.Tensor");
  EXPECT_FALSE(accepted(scaled.input({40}, row).input({40}, row).number("alpha", 2).output({40})));
  EXPECT_FALSE(accepted(columns.input({2, 3, 40}, a).input({3, 1}, random.reals(3)).output({2, 3, 40})));
}

TEST_P(Operators, ClampsFollowTheirAttributesAndPassNaN) {
  const std::vector<float> x = {-7, -0.5f, 0, 3, 9, NAN};
  OneNode relu("aten.relu.default"), relu6("aten.relu6.default"), hardtanh("aten.hardtanh.default");
  expect_near(run(relu.input({6}, x).output({6})), {0, 0, 0, 3, 9, NAN}, 0, "relu");
  expect_near(run(relu6.input({6}, x).output({6})), {0, 0, 0, 3, 6, NAN}, 0, "relu6");
  hardtanh.number("min_val", -2).number("max_val", 4);
  expect_near(run(hardtanh.input({6}, x).output({6})), {-2, -0.5f, 0, 3, 4, NAN}, 0, "hardtanh");
}

TEST_P(Operators, RowOperatorsHonourTheirDims) {
  Random random(35);
  const std::vector<float> x = random.reals(4 * 30);
  OneNode softmax("aten.softmax.int"), across("aten.softmax.int"), norm("aten.layer_norm.default"),
      gelu("aten.gelu.default");
  const std::vector<float> p = run(softmax.input({2, 2, 30}, x).ints("dim", {-1}).output({2, 2, 30}));
  for (size_t r = 0; r < 4; ++r) {
    float total = 0;
    for (size_t c = 0; c < 30; ++c) total += p[r * 30 + c];
    EXPECT_NEAR(total, 1, 1e-6f);
  }
  EXPECT_FALSE(accepted(across.input({2, 2, 30}, x).ints("dim", {1}).output({2, 2, 30})));
  const std::vector<float> y =
      run(norm.input({4, 30}, x).absent().absent().ints("normalized_shape", {30}).output({4, 30}));
  double mean = 0;
  for (size_t c = 0; c < 30; ++c) mean += y[c];
  EXPECT_NEAR(mean, 0, 1e-4);
  gelu.input({4, 30}, x).text("approximate", "tanh").output({4, 30});
  EXPECT_NEAR(run(gelu)[0], x[0] * 0.5f * (1 + std::tanh(0.7978846f * (x[0] + 0.044715f * x[0] * x[0] * x[0]))), 1e-6f);
}

TEST_P(Operators, RefuseBuffersSmallerThanPlanned) {
  Random random(36);
  OneNode node("aten.relu.default");
  node.input({8}, random.reals(7)).output({8});  // one element short
  OneNode::Prepared prepared(node, k().isa);
  ASSERT_TRUE(prepared.accepted());
  EXPECT_NONFATAL_FAILURE(prepared.run(), "too small");
}

}  // namespace
}  // namespace quoin::cpu::test
