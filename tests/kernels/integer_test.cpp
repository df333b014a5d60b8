// Kernels on quantized values against formulas of numerics.hpp applied to naive integer sums.
#include <quoin/numerics.hpp>

#include "op_runner.hpp"

namespace quoin::test {
namespace {

using Ints = std::vector<int64_t>;
using Bytes = std::vector<int8_t>;

// A 1x1 convolution, a linear layer and a matrix product have the same sums.
struct Product {
  Tensor x, w;  // [rows, inner], [outputs, inner]
  std::shared_ptr<const QParams> qx = per_tensor(DType::s8, 0.05f, 7), qy = per_tensor(DType::s8, 0.3f, -5);
  std::vector<float> sw;

  explicit Product(uint64_t seed = 1, int64_t rows = 5, int64_t inner = 37, int64_t outputs = 6) {
    Random random(seed);
    x = random.integers<int8_t>({rows, inner}, -128, 127);
    w = random.integers<int8_t>({outputs, inner}, -127, 127);
    for (int64_t o = 0; o < outputs; ++o) sw.push_back(random.real(0.001f, 0.02f));
  }
  int64_t rows() const { return x.shape()[0]; }
  int64_t outputs() const { return w.shape()[0]; }
  int32_t sum(int64_t r, int64_t o) const {
    int32_t out = 0;
    for (int64_t k = 0; k < x.shape()[1]; ++k)
      out += (x.as<int8_t>()[static_cast<size_t>(r * x.shape()[1] + k)] - qx->zero_point_at(0)) *
             w.as<int8_t>()[static_cast<size_t>(o * x.shape()[1] + k)];
    return out;
  }
  int8_t quantized(int64_t r, int64_t o, int32_t bias) const {
    const float multiplier = numerics::requantize_multiplier(qx->scale[0], sw[static_cast<size_t>(o)], qy->scale[0]);
    return static_cast<int8_t>(
        numerics::requantize(sum(r, o) + bias, multiplier, qy->zero_point_at(0), qy->qmin, qy->qmax));
  }
  std::vector<float> bias_scale() const {
    std::vector<float> out;
    for (const float s : sw) out.push_back(qx->scale[0] * s);
    return out;
  }
};

TEST(IntegerLinear, RequantizesTheIntegerSum) {
  const Product p;
  const Tensor bias = Random(9).integers<int32_t>({p.outputs()}, -3000, 3000);
  const auto y = elements<int8_t>(Op("aten.linear.default")
                                      .in(p.x, p.qx)
                                      .in(p.w, per_channel(0, p.sw))
                                      .in(bias, per_channel(0, p.bias_scale(), DType::s32))
                                      .out(p.qy)
                                      .run());
  for (int64_t r = 0; r < p.rows(); ++r)
    for (int64_t o = 0; o < p.outputs(); ++o)
      EXPECT_EQ(y[static_cast<size_t>(r * p.outputs() + o)],
                p.quantized(r, o, bias.as<int32_t>()[static_cast<size_t>(o)]));
}

TEST(IntegerLinear, QuantizesAFloatBias) {
  const Product p(2);
  const Tensor bias = Random(4).reals({p.outputs()}, -1, 1);
  const auto y =
      elements<int8_t>(Op("aten.linear.default").in(p.x, p.qx).in(p.w, per_channel(0, p.sw)).in(bias).out(p.qy).run());
  for (int64_t r = 0; r < p.rows(); ++r)
    for (int64_t o = 0; o < p.outputs(); ++o) {
      const auto at = static_cast<size_t>(o);
      EXPECT_EQ(y[static_cast<size_t>(r * p.outputs() + o)],
                p.quantized(r, o, numerics::quantize_bias(bias.as<float>()[at], p.qx->scale[0], p.sw[at])));
    }
}

TEST(IntegerLinear, DequantizesForAFloatResult) {
  const Product p(3);
  const Tensor bias = Random(4).reals({p.outputs()}, -1, 1);
  const auto y = elements<float>(Op("aten.linear.default").in(p.x, p.qx).in(p.w, per_channel(0, p.sw)).in(bias).run());
  for (int64_t r = 0; r < p.rows(); ++r)
    for (int64_t o = 0; o < p.outputs(); ++o) {
      const auto at = static_cast<size_t>(o);
      EXPECT_EQ(y[static_cast<size_t>(r * p.outputs() + o)],
                static_cast<float>(p.sum(r, o)) * (p.qx->scale[0] * p.sw[at]) + bias.as<float>()[at]);
    }
}

TEST(IntegerConvolution, OneByOneEqualsLinear) {
  const Product p(5, 12, 20, 7);
  Tensor image(DType::s8, {1, 20, 3, 4});
  for (size_t i = 0; i < 240; ++i) image.as<int8_t>()[i % 20 * 12 + i / 20] = p.x.as<int8_t>()[i];
  const auto y = elements<int8_t>(Op("aten.conv2d.default")
                                      .in(image, p.qx)
                                      .in(p.w.reshaped({7, 20, 1, 1}), per_channel(0, p.sw))
                                      .absent()
                                      .out(p.qy)
                                      .run());
  for (int64_t r = 0; r < 12; ++r)
    for (int64_t o = 0; o < 7; ++o) EXPECT_EQ(y[static_cast<size_t>(o * 12 + r)], p.quantized(r, o, 0));
}

// Padding is real 0: with it, the integer kernel must still agree with float arithmetic on the dequantized values.
TEST(IntegerConvolution, AgreesWithTheFloatKernelWithinOneStep) {
  Random random(8);
  const Tensor x = random.integers<uint8_t>({2, 4, 9, 7}, 0, 255), w = random.integers<int8_t>({8, 2, 3, 3}, -127, 127),
               b = random.reals({8});
  for (const char* op : {"aten.conv2d.default", "aten.conv_transpose2d.input"}) {
    const bool transposed = std::string(op) != "aten.conv2d.default";
    const auto build = [&](const char* denied) {
      Op out(op);
      out.in(x, per_tensor(DType::u8, 0.02f, 100))
          .attr("stride", Ints{2, 1})
          .attr("padding", Ints{1, 1})
          .attr("groups", int64_t{2})
          .deny(denied);
      out.in(transposed ? w.reshaped({4, 4, 3, 3}) : w, transposed ? per_channel(1, {0.01f, 0.02f, 0.03f, 0.015f})
                                                                   : per_channel(0, std::vector<float>(8, 0.013f)));
      return out.in(b).out(per_tensor(DType::s8, 0.1f, 4)).run();
    };
    const Tensor integer = build("none"), real = build((std::string("portable_integer:") + op).c_str());
    ASSERT_EQ(integer.shape(), real.shape());
    int differences = 0;
    for (size_t i = 0; i < integer.bytes(); ++i) {
      const int step = std::abs(integer.as<int8_t>()[i] - real.as<int8_t>()[i]);
      ASSERT_LE(step, 1) << op << " " << i;
      differences += step;
    }
    EXPECT_LT(differences, static_cast<int>(integer.bytes() / 50)) << op;
  }
}

TEST(IntegerMatmul, MultipliesActivations) {
  const Product p(11, 4, 16, 5);
  Tensor transposed(DType::s8, {16, 5});
  for (size_t i = 0; i < 80; ++i) transposed.as<int8_t>()[i % 16 * 5 + i / 16] = p.w.as<int8_t>()[i];
  const auto qw = per_tensor(DType::s8, 0.01f, -3);
  const auto y = elements<int8_t>(Op("aten.matmul.default").in(p.x, p.qx).in(transposed, qw).out(p.qy).run());
  for (size_t i = 0; i < y.size(); ++i) {
    int32_t sum = 0;
    for (size_t k = 0; k < 16; ++k)
      sum += (p.x.as<int8_t>()[i / 5 * 16 + k] - 7) * (transposed.as<int8_t>()[k * 5 + i % 5] + 3);
    EXPECT_EQ(y[i], numerics::requantize(sum, numerics::requantize_multiplier(0.05f, 0.01f, 0.3f), -5, -128, 127));
  }
}

TEST(IntegerBinary, FollowsTheFormulas) {
  Random random(12);
  const Tensor a = random.integers<int8_t>({3, 50}, -128, 127), b = random.integers<uint8_t>({50}, 0, 255);
  const auto qa = per_tensor(DType::s8, 0.1f, 3), qb = per_tensor(DType::u8, 0.03f, 120),
             qy = per_tensor(DType::s8, 0.11f, -7);
  const auto run = [&](const char* op) { return elements<int8_t>(Op(op).in(a, qa).in(b, qb).out(qy).run()); };
  const auto sum = run("aten.add.Tensor"), difference = run("aten.sub.Tensor"), product = run("aten.mul.Tensor");
  for (size_t i = 0; i < 150; ++i) {
    const int32_t left = a.as<int8_t>()[i] - 3, right = b.as<uint8_t>()[i % 50] - 120;
    EXPECT_EQ(sum[i], numerics::add(left, 0.1f / 0.11f, right, 0.03f / 0.11f, -7, -128, 127));
    EXPECT_EQ(difference[i], numerics::add(left, 0.1f / 0.11f, right, -(0.03f / 0.11f), -7, -128, 127));
    EXPECT_EQ(product[i],
              numerics::requantize(left * right, numerics::requantize_multiplier(0.1f, 0.03f, 0.11f), -7, -128, 127));
  }
}

TEST(IntegerClamp, LimitsAndRescales) {
  const auto q = per_tensor(DType::s8, 0.1f, -10);
  const Tensor x = tensor<int8_t>({5}, {-128, -11, -10, 40, 127});
  EXPECT_EQ(elements<int8_t>(Op("aten.relu.default").in(x, q).out(q).run()), (Bytes{-10, -10, -10, 40, 127}));
  EXPECT_EQ(
      elements<int8_t>(Op("aten.hardtanh.default").in(x, q).out(q).attr("min_val", 0.0).attr("max_val", 6.0).run()),
      (Bytes{-10, -10, -10, 40, 50}));
  EXPECT_EQ(elements<int8_t>(Op("aten.relu.default").in(x, q).out(per_tensor(DType::s8, 0.05f, -128)).run()),
            (Bytes{-128, -128, -128, -28, 127}));
}

TEST(IntegerAverage, RoundsTheScaledSum) {
  Random random(13);
  const Tensor x = random.integers<int8_t>({1, 2, 4, 4}, -128, 127);
  const auto qx = per_tensor(DType::s8, 0.1f, 5), qy = per_tensor(DType::s8, 0.07f, -2);
  const auto mean = elements<int8_t>(Op("aten.mean.dim").in(x, qx).out(qy).attr("dim", Ints{2, 3}).run());
  const auto adaptive =
      elements<int8_t>(Op("aten.adaptive_avg_pool2d.default").in(x, qx).out(qy).attr("output_size", Ints{1, 1}).run());
  const auto pool =
      elements<int8_t>(Op("aten.avg_pool2d.default").in(x, qx).out(qy).attr("kernel_size", Ints{4, 4}).run());
  for (size_t c = 0; c < 2; ++c) {
    int32_t sum = 0;
    for (size_t i = 0; i < 16; ++i) sum += x.as<int8_t>()[c * 16 + i] - 5;
    const int32_t expected = numerics::requantize(sum, (0.1f / 0.07f) / 16.0f, -2, -128, 127);
    EXPECT_EQ(mean[c], expected);
    EXPECT_EQ(adaptive[c], expected);
    EXPECT_EQ(pool[c], expected);
  }
}

TEST(IntegerAverage, PaddingIsRealZero) {
  const auto q = per_tensor(DType::u8, 1.0f, 100);
  Op op("aten.avg_pool2d.default");
  op.in(tensor<uint8_t>({1, 1, 1}, {104}), q)
      .out(q)
      .attr("kernel_size", Ints{2, 2})
      .attr("stride", Ints{1, 1})
      .attr("padding", Ints{1, 1});
  EXPECT_EQ(elements<uint8_t>(op.run()), (std::vector<uint8_t>{101, 101, 101, 101}));
}

TEST(TypedConversion, QuantizesAndBack) {
  const auto q = per_tensor(DType::s8, 0.5f, 1);
  const Tensor x = tensor<float>({6}, {0.25f, 0.75f, -0.25f, 1000, -1000, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_EQ(elements<int8_t>(Op("quoin.quantize.default").in(x).out(q).run()), (Bytes{1, 3, 1, 127, -128, -128}));
  EXPECT_EQ(elements<float>(Op("quoin.dequantize.default").in(tensor<int8_t>({2}, {3, -128}), q).run()),
            (std::vector<float>{1, -64.5f}));
  EXPECT_EQ(elements<uint8_t>(Op("quoin.requantize.default")
                                  .in(tensor<int8_t>({2}, {3, -128}), q)
                                  .out(per_tensor(DType::u8, 0.25f, 0))
                                  .run()),
            (std::vector<uint8_t>{4, 0}));
}

TEST(QuantizedFallback, ComputesInFloatBetweenConversions) {
  const auto qx = per_tensor(DType::s8, 0.1f, 0), qy = per_tensor(DType::u8, 1.0f / 256, 0);
  const auto y =
      elements<uint8_t>(Op("aten.sigmoid.default").in(tensor<int8_t>({3}, {0, 100, -100}), qx).out(qy).run());
  EXPECT_EQ(y, (std::vector<uint8_t>{128, 255, 0}));
}

TEST(QuantizedFallback, RunsWeightOnlyLayers) {
  const Tensor x = tensor<float>({1, 2}, {1, 2}), w = tensor<int8_t>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(elements<float>(Op("aten.linear.default").in(x).in(w, per_channel(0, {0.5f, 0.25f})).run()),
            (std::vector<float>{2.5f, 2.75f}));
}

// -- dynamic activations

struct Dynamic {
  Tensor x = Random(21).reals({3, 16}, -3, 1), w = Random(22).integers<int8_t>({4, 16}, -8, 7),
         b = Random(23).reals({4});
  numerics::Dynamic scheme = numerics::Dynamic::affine;
  float eps = numerics::kDefaultEps;
  numerics::Affine chosen(int64_t r) const {
    const auto row = x.as<float>().subspan(static_cast<size_t>(r * 16), 16);
    return numerics::choose_dynamic(scheme, *std::min_element(row.begin(), row.end()),
                                    *std::max_element(row.begin(), row.end()), -128, 127, eps);
  }
  int32_t code(int64_t r, int64_t k) const {
    return numerics::quantize_dynamic(scheme, x.as<float>()[static_cast<size_t>(r * 16 + k)], chosen(r), -128, 127);
  }
  int32_t weight(int64_t o, int64_t k) const { return w.as<int8_t>()[static_cast<size_t>(o * 16 + k)]; }
  float bias(int64_t o) const { return b.as<float>()[static_cast<size_t>(o)]; }

  float expected(int64_t r, int64_t o, const std::vector<float>& scales) const {
    int32_t sum = 0;
    for (int64_t k = 0; k < 16; ++k) sum += (code(r, k) - chosen(r).zero_point) * weight(o, k);
    return static_cast<float>(sum) * (chosen(r).scale * scales[static_cast<size_t>(o)]) + bias(o);
  }
  float grouped(int64_t r, int64_t o, const QParams& q) const {
    const int64_t group = q.group, groups = 16 / group;
    float acc = 0, corr = 0;
    for (int64_t g = 0; g < groups; ++g) {
      const auto at = static_cast<size_t>(o * groups + g);
      int32_t products = 0, weights = 0;
      for (int64_t k = g * group; k < (g + 1) * group; ++k) {
        products += code(r, k) * (weight(o, k) - q.zero_point_at(at));
        weights += weight(o, k) - q.zero_point_at(at);
      }
      acc += static_cast<float>(products) * q.scale[at];
      corr += static_cast<float>(weights) * q.scale[at];
    }
    return (acc - static_cast<float>(chosen(r).zero_point) * corr) * chosen(r).scale + bias(o);
  }
};

TEST(LinearDynamic, QuantizesEachRow) {
  const Dynamic d;
  const std::vector<float> scales{0.1f, 0.2f, 0.05f, 0.3f};
  const auto y =
      elements<float>(Op("quoin.linear_dynamic.default").in(d.x).in(d.w, per_channel(0, scales)).in(d.b).run());
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(y[static_cast<size_t>(i)], d.expected(i / 4, i % 4, scales));
}

TEST(LinearDynamic, ChoosesByItsSchemeAndEps) {
  const std::vector<float> scales{0.1f, 0.2f, 0.05f, 0.3f};
  for (const char* name : {"affine", "symmetric", "token", "token_symmetric"})
    for (const float eps : {numerics::kDefaultEps, 1.0f}) {
      Dynamic d;
      d.scheme = *numerics::dynamic_scheme(name);
      d.eps = eps;
      const auto y = elements<float>(Op("quoin.linear_dynamic.default")
                                         .in(d.x)
                                         .in(d.w, per_channel(0, scales))
                                         .in(d.b)
                                         .attr("scheme", std::string(name))
                                         .attr("eps", static_cast<double>(eps))
                                         .run());
      for (int64_t i = 0; i < 12; ++i)
        EXPECT_EQ(y[static_cast<size_t>(i)], d.expected(i / 4, i % 4, scales)) << name << " " << eps;
    }
}

// The codes of x keep their zero point; one correction per output takes it off.
TEST(LinearDynamic, AddsGroupsInOrder) {
  for (const char* name : {"affine", "symmetric", "token", "token_symmetric"}) {
    Dynamic d;
    d.scheme = *numerics::dynamic_scheme(name);
    QParams q;
    q.scheme = Scheme::per_group;
    q.group = 8;
    q.qmin = -8, q.qmax = 7;
    q.scale = {0.1f, 0.2f, 0.05f, 0.3f, 0.11f, 0.22f, 0.06f, 0.31f};
    q.zero_point = {0, 1, -2, 3, 0, 0, -8, 7};
    const auto y = elements<float>(Op("quoin.linear_dynamic.default")
                                       .in(d.x)
                                       .in(d.w, std::make_shared<const QParams>(q))
                                       .in(d.b)
                                       .attr("scheme", std::string(name))
                                       .run());
    for (int64_t i = 0; i < 12; ++i)
      EXPECT_EQ(y[static_cast<size_t>(i)], d.grouped(i / 4, i % 4, q)) << name << ", element " << i;
  }
}

TEST(LinearDynamic, ReadsPackedFourBitWeights) {
  const Dynamic d;
  Tensor packed(DType::s4, {4, 16});
  for (size_t i = 0; i < 64; ++i)
    packed.as<uint8_t>()[i / 2] |= static_cast<uint8_t>((d.w.as<int8_t>()[i] & 15) << (i % 2 * 4));
  QParams q = *per_channel(0, {0.1f, 0.2f, 0.05f, 0.3f});
  const Tensor wide = Op("quoin.linear_dynamic.default").in(d.x).in(d.w, std::make_shared<const QParams>(q)).run();
  q.dtype = DType::s4;
  q.qmin = -8, q.qmax = 7;
  EXPECT_EQ(
      elements<float>(Op("quoin.linear_dynamic.default").in(d.x).in(packed, std::make_shared<const QParams>(q)).run()),
      elements<float>(wide));
}

TEST(LinearDynamic, SharesOneRangePerTensor) {
  const Tensor x = tensor<float>({2, 1}, {-1, 254}), w = tensor<int8_t>({1, 1}, {1});
  const auto q = per_channel(0, {1.0f});
  EXPECT_EQ(elements<float>(
                Op("quoin.linear_dynamic.default").in(x).in(w, q).attr("granularity", std::string("per_tensor")).run()),
            (std::vector<float>{-1, 254}));
}

}  // namespace
}  // namespace quoin::test
