#include "quantize/guard.hpp"

#include <cmath>

#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::in;
using test::out;

QParams integers(int32_t qmin, int32_t qmax, std::vector<float> scale, DType dtype = DType::s8) {
  QParams q;
  q.dtype = dtype;
  q.qmin = qmin;
  q.qmax = qmax;
  if (scale.size() > 1) q.scheme = Scheme::per_channel, q.axis = 0;
  q.scale = std::move(scale);
  return q;
}
Spec sixteen_bits() {
  Spec spec = test::activation();
  spec.dtype = DType::s16;
  spec.qmin = -32768;
  spec.qmax = 32767;
  spec.symmetric = true;
  return spec;
}
Spec derived_bias(ir::NodeId node) {
  Spec bias;
  bias.kind = SpecKind::derived;
  bias.dtype = DType::s32;
  bias.qmin = INT32_MIN;
  bias.qmax = INT32_MAX;
  bias.scheme = Scheme::per_channel;
  bias.axis = 0;
  bias.rule = QUOIN_RULE_PRODUCT;
  bias.sources = {in(node, 0), in(node, 1)};
  return bias;
}
Tensor filled(Shape shape, float value) {
  Tensor out(DType::f32, std::move(shape));
  std::fill_n(out.as<float>().data(), out.size(), value);
  return out;
}

// -- the bound

TEST(ProductBound, HoldsToTheLastStep) {
  test::Model model;
  const auto id =
      model.add("aten.linear.default", {model.input({1, 516}), model.constant(filled({1, 516}, 127))}, {}, "linear");
  const QParams w = integers(-127, 127, {1});
  Tensor q(DType::s8, {1, 516});
  std::fill_n(q.as<int8_t>().data(), 516, int8_t{127});
  float bias = 131071;  // 32768 * 127 * 516 + 131071 = 2^31 - 1
  const Shape shape{1, 516};
  const ProductSums sums{model.graph.node(id), shape, w, 32768, 1, {&bias, 1}};
  EXPECT_TRUE(test::ok(overflowing(sums, &q)).empty());
  EXPECT_TRUE(test::ok(overflowing(sums, nullptr)).empty());
  bias = -131072;
  EXPECT_EQ(test::ok(overflowing(sums, &q)), std::vector<size_t>{0});
}

TEST(ProductBound, ReachIsTheFartherEndFromTheZeroPoint) {
  QParams x = integers(-128, 127, {1});
  x.zero_point = {-100};
  EXPECT_EQ(data_reach(x), 227);
  x.zero_point = {127};
  EXPECT_EQ(data_reach(x), 255);
}

TEST(ProductBound, TransposedConvolutionsSumOverInputsOfAGroup) {
  test::Model model;
  const Shape shape{4, 2, 1, 2};  // two groups of two inputs and two outputs
  const auto id = model.add("aten.conv_transpose2d.input",
                            {model.input({1, 4, 3, 3}), model.constant(filled(shape, 1))}, {{"groups", int64_t{2}}});
  const QParams w = integers(-127, 127, {1});
  const ProductSums sums{model.graph.node(id), shape, w, 1, 1, {}};
  ASSERT_EQ(sums.count(), 4u);
  EXPECT_EQ(sums.terms(), 4u);
  std::vector<size_t> found;
  for (size_t i = 0; i < 16; ++i) found.push_back(sums.sum_of(i));
  EXPECT_EQ(found, (std::vector<size_t>{0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3}));
}

// -- conversion

class Guarded : public testing::Test {
 protected:
  // linear(x, w, b) on samples of +-1.
  ir::NodeId linear(Tensor w, Tensor b) {
    const int64_t inner = w.shape()[1];
    const auto x = model_.input({2, inner});
    const auto id = model_.add("aten.linear.default", {x, model_.constant(std::move(w)), model_.constant(std::move(b))},
                               {}, "linear");
    model_.graph.set_outputs({model_.value(id)});
    sample_ = test::random_tensor({2, inner}, 3);
    sample_.as<float>()[0] = 1;
    return id;
  }
  ir::Graph qdq() { return model_.qdq({{sample_}}); }
  long warnings(std::string_view text) const {
    long count = 0;
    for (const Note& note : model_.diagnostics.notes())
      count += note.level == Level::warning && note.text().find(text) != std::string::npos ? 1 : 0;
    return count;
  }
  // The typed graph computes the product on integers and agrees with the float graph within `tolerance`.
  void expect_integers(const ir::Graph& from, float tolerance) {
    const ir::Graph typed = model_.typed(from);
    EXPECT_TRUE(typed.value(typed.output(test::find(typed, "linear.default"))).type.qparams);
    const auto expected = test::run(model_.graph, {sample_})[0], found = test::run(typed, {sample_})[0];
    for (size_t i = 0; i < expected.as<float>().size(); ++i)
      EXPECT_NEAR(expected.as<float>()[i], found.as<float>()[i], tolerance);
  }
  static std::span<const float> weight_scales(const ir::Graph& graph) {
    const ir::NodeId dq = graph.value(graph.input(test::find(graph, "linear.default"), 1)).producer;
    return graph.value(graph.input(dq, 1)).constant->as<float>();
  }
  test::Model model_;
  Tensor sample_;
};

TEST_F(Guarded, ADeadChannelWithALargeBiasGetsALargerScale) {
  Tensor w = test::random_tensor({3, 8}, 1);
  std::fill_n(w.as<float>().data() + 8, 8, 0.0f);
  const auto id = linear(w, test::floats({3}, {0.5, -100, 0.25}));
  model_.annotate_product(id);
  model_.annotate(in(id, 2), derived_bias(id));
  const ir::Graph graph = qdq();
  EXPECT_EQ(warnings("1 of 3 output channels could overflow int32"), 1);
  EXPECT_EQ(warnings("linear"), 1);
  const auto scales = weight_scales(graph);
  EXPECT_LT(scales[0], 0.01f);  // as the weights alone need
  EXPECT_GT(scales[1], 100 * 127 / 2147483647.0f);
  const ir::NodeId bias = graph.value(graph.input(test::find(graph, "linear.default"), 2)).producer;
  const auto q = graph.value(graph.input(bias, 0)).constant->as<int32_t>();
  EXPECT_LT(q[1], -2.1e9);  // just large enough
  EXPECT_GT(q[1], INT32_MIN);
  expect_integers(graph, 0.5f);
}

TEST_F(Guarded, WideActivationsGetLargerWeightScales) {
  const auto id = linear(filled({2, 4096}, 1), test::floats({2}, {0, 0}));
  model_.annotate(in(id, 0), sixteen_bits());
  model_.annotate(in(id, 1), test::weight());
  model_.annotate(out(id), sixteen_bits());
  sample_ = filled({2, 4096}, 1);  // the largest sum
  const ir::Graph graph = qdq();
  EXPECT_EQ(warnings("2 of 2 output channels"), 1);
  const float needed = 4096.0f * 32768 / 2147483647.0f;  // reach * sum |w| / 2^31
  EXPECT_GE(weight_scales(graph)[0], needed);
  EXPECT_LT(weight_scales(graph)[0], needed * 1.05f);
  expect_integers(graph, 4096 * 0.07f);
}

TEST_F(Guarded, PowerOfTwoScalesStayPowersOfTwo) {
  const auto id = linear(filled({2, 4096}, 1), test::floats({2}, {0, 0}));
  Spec weights = test::weight();
  weights.pow2_scale = true;
  model_.annotate(in(id, 0), sixteen_bits());
  model_.annotate(in(id, 1), weights);
  model_.annotate(out(id), sixteen_bits());
  int exponent = 0;
  const ir::Graph graph = qdq();
  for (const float scale : weight_scales(graph)) EXPECT_EQ(std::frexp(scale, &exponent), 0.5f);
  EXPECT_EQ(warnings("could overflow"), 1);
}

TEST_F(Guarded, NothingChangesWhereNothingOverflows) {
  const auto id = linear(test::random_tensor({3, 2000}, 1), test::random_tensor({3}, 2, -50, 50));
  model_.annotate_product(id);
  Prepared prepared = model_.prepared();
  const test::Samples data({{sample_}});
  test::ok(calibrate(model_.graph, prepared, &data, {}, test::host(), nullptr, model_.diagnostics));
  auto qparams = test::ok(all_qparams(model_.graph, prepared));
  const auto before = qparams;
  test::ok(guard_products(model_.graph, prepared, qparams, model_.diagnostics));
  EXPECT_EQ(qparams, before);
  EXPECT_EQ(warnings("overflow"), 0);
}

TEST_F(Guarded, FixedWeightScalesLeaveTheNodeInFloat) {
  const auto id = linear(filled({2, 4096}, 1), test::floats({2}, {0, 0}));
  Spec fixed = test::weight(-1);
  fixed.kind = SpecKind::fixed;
  fixed.scale = 1 / 127.0f;
  model_.annotate(in(id, 0), sixteen_bits());
  model_.annotate(in(id, 1), fixed);
  model_.annotate(out(id), sixteen_bits());
  const ir::Graph graph = qdq();
  EXPECT_EQ(warnings("2 output channels could overflow int32 and the scales of its weight are not its own"), 1);
  const ir::Graph typed = model_.typed(graph);
  EXPECT_FALSE(typed.value(typed.output(test::find(typed, "linear.default"))).type.qparams);
}

TEST_F(Guarded, OneWeightOfTwoLayersServesBoth) {
  const auto w = model_.constant(test::floats({1, 2}, {0.5, -0.25}));
  const auto small = model_.input({1, 2}, "small"), large = model_.input({1, 2}, "large");
  const auto first =
      model_.add("aten.linear.default", {large, w, model_.constant(test::floats({1}, {1}))}, {}, "first");
  const auto second =
      model_.add("aten.linear.default", {small, w, model_.constant(test::floats({1}, {1e6}))}, {}, "second");
  model_.graph.set_outputs({model_.value(first), model_.value(second)});
  for (const auto id : {first, second}) model_.annotate_product(id);
  const ir::Graph graph = model_.qdq({{test::floats({1, 2}, {1e-3f, -1e-3f}), test::floats({1, 2}, {1, -1})}});
  EXPECT_EQ(warnings("second"), 1);
  EXPECT_EQ(warnings("first"), 0);
  float scale = 0;
  for (const ir::NodeId id : graph.order()) {
    if (graph.node(id).op() != "quantized_decomposed.dequantize_per_channel.default") continue;
    const float found = graph.value(graph.input(id, 1)).constant->as<float>()[0];
    EXPECT_TRUE(scale == 0 || scale == found);
    scale = found;
  }
  EXPECT_GT(scale, 0.5f / 127);
}

TEST_F(Guarded, DynamicLinearsHaveAFloatBiasAndTheWholeReach) {
  const auto id = linear(filled({1, 70000}, 1), test::floats({1}, {1e9}));
  model_.annotate(in(id, 0), test::dynamic(Scheme::per_token));
  model_.annotate(in(id, 1), test::weight());
  const ir::Graph graph = qdq();
  EXPECT_EQ(warnings("1 of 1 output channels"), 1);
  EXPECT_GT(weight_scales(graph)[0], 1 / 127.0f);
  EXPECT_LT(weight_scales(graph)[0], 1.01f * 255 * 70000 / 2147483647.0f);
  EXPECT_EQ(test::count(model_.typed(graph), "linear_dynamic.default"), 1);
}

TEST_F(Guarded, ATinyProductOfScalesIsRaisedToANormalNumber) {
  const auto id = linear(filled({1, 2}, 0), test::floats({1}, {0}));
  Spec data = test::activation(), weights = test::weight();
  data.eps = weights.eps = 1e-30;
  model_.annotate(in(id, 0), data);
  model_.annotate(in(id, 1), weights);
  model_.annotate(out(id), data);
  sample_ = filled({2, 2}, 0);
  const ir::Graph graph = qdq();
  EXPECT_GE(1e-30f * weight_scales(graph)[0], std::numeric_limits<float>::min());
  EXPECT_EQ(test::count(model_.typed(graph), "linear.default"), 1);
}

// -- imported graphs

TEST_F(Guarded, ImportedProductsThatCouldOverflowStayInFloat) {
  const auto quantized = [&](ir::ValueId x, double scale, const char* dtype, int64_t low, int64_t high) {
    const Attrs attrs{{"scale", scale},
                      {"zero_point", int64_t{0}},
                      {"quant_min", low},
                      {"quant_max", high},
                      {"dtype", std::string(dtype)}};
    if (!model_.graph.is_constant(x))
      x = model_.value(model_.add("quantized_decomposed.quantize_per_tensor.default", {x}, attrs));
    return model_.value(model_.add("quantized_decomposed.dequantize_per_tensor.default", {x}, attrs));
  };
  const auto build = [&](int64_t inner, float bias) {
    model_.clear();
    Tensor w(DType::s8, {1, inner});
    std::fill_n(w.as<int8_t>().data(), inner, int8_t{127});
    const auto id =
        model_.add("aten.linear.default",
                   {quantized(model_.input({1, inner}), 1e-3, "s16", -32768, 32767),
                    quantized(model_.constant(w), 1e-2, "s8", -128, 127), model_.constant(test::floats({1}, {bias}))},
                   {}, "imported");
    model_.graph.set_outputs({quantized(model_.value(id), 1, "s16", -32768, 32767)});
    const ir::Graph typed = model_.typed(model_.graph);
    return typed.value(typed.output(test::find(typed, "linear.default"))).type.qparams != nullptr;
  };
  EXPECT_TRUE(build(515, 1));
  EXPECT_FALSE(build(600, 1));     // the sum
  EXPECT_FALSE(build(10, 1e10f));  // the bias
  bool told = false;
  for (const Note& note : model_.diagnostics.notes())
    told |= note.text().find("imported") != std::string::npos &&
            note.text().find("computes in float: 1 of its 1 sums could overflow int32") != std::string::npos;
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace quoin::quantize
