#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::count;
using test::in;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;

class Typed : public testing::Test {
 protected:
  ir::NodeId conv(ir::ValueId x, const std::string& name = "conv") {
    const int64_t channels = model_.graph.value(x).type.shape[1];
    return model_.add("aten.conv2d.default",
                      {x, model_.constant(random_tensor({3, channels, 3, 3}, 2), name + "_w"),
                       model_.constant(random_tensor({3}, 3), name + "_b")},
                      {{"padding", std::vector<int64_t>{1, 1}}}, name, {{"stem", "lib.Stem"}});
  }
  ir::NodeId unary(const char* op, ir::NodeId from, Attrs attrs = {}) {
    return model_.add(op, {model_.value(from)}, std::move(attrs));
  }
  // The typed form of the annotated model; its interpretation stays within one step of the QDQ graph's.
  ir::Graph typed(std::vector<ir::NodeId> outputs, float steps = 1) {
    std::vector<ir::ValueId> values;
    for (const auto id : outputs) values.push_back(model_.value(id));
    model_.graph.set_outputs(values);
    std::vector<Tensor> sample;
    for (const auto id : model_.graph.inputs())
      sample.push_back(random_tensor(model_.graph.value(id).type.shape, id + 5, -1, 2));
    const ir::Graph qdq = model_.qdq({sample});
    ir::Graph out = model_.typed(qdq);
    const auto expected = test::run(qdq, sample), found = test::run(out, sample);
    for (size_t o = 0; o < expected.size(); ++o) {
      const auto a = expected[o].as<float>(), b = found[o].as<float>();
      const auto [low, high] = std::minmax_element(a.begin(), a.end());
      const float tolerance = steps * (std::max(*high, 0.0f) - std::min(*low, 0.0f)) / 250 + 1e-6f;
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << "output " << o << " element " << i;
    }
    return out;
  }
  static const QParams& result_of(const ir::Graph& graph, std::string_view op) {
    const auto& qparams = graph.value(graph.output(test::find(graph, op))).type.qparams;
    EXPECT_TRUE(qparams) << op;
    return *qparams;
  }
  test::Model model_;
};

TEST_F(Typed, ConvAndReluComputeOnIntegers) {
  const auto c = conv(model_.input({1, 3, 5, 5})), relu = unary("aten.relu.default", c);
  model_.annotate_product(c, false);
  model_.annotate(out(relu), test::activation());
  const ir::Graph graph = typed({relu});
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv2d.default", "relu.default", "dequantize.default"}));
  EXPECT_EQ(result_of(graph, "conv2d.default"), result_of(graph, "relu.default"));
  const ir::NodeId id = test::find(graph, "conv2d.default");
  const TensorType& weight = graph.value(graph.input(id, 1)).type;
  const TensorType& bias = graph.value(graph.input(id, 2)).type;
  EXPECT_EQ(weight.dtype, DType::s8);
  EXPECT_EQ(weight.qparams->scheme, Scheme::per_channel);
  EXPECT_EQ(bias.dtype, DType::s32);
  const float x_scale = graph.value(graph.input(id, 0)).type.qparams->scale[0];
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(bias.qparams->scale[i], x_scale * weight.qparams->scale[i]);
  EXPECT_EQ(graph.node(id).module_path(), "stem");
}
TEST_F(Typed, ClampsBetweenConvAndQuantizeToo) {
  for (const auto& [op, attrs] :
       {std::pair<const char*, Attrs>{"aten.hardtanh.default", {{"min_val", 0.0}, {"max_val", 6.0}}},
        {"aten.clamp.default", {{"min", -0.5}}},
        {"aten.clamp_min.default", {{"min", 0.1}}},
        {"aten.relu6.default", {}}}) {
    model_.clear();
    const auto c = conv(model_.input({1, 3, 5, 5})), clamp = unary(op, c, attrs);
    model_.annotate_product(c, false);
    model_.annotate(out(clamp), test::activation());
    const ir::Graph graph = typed({clamp});
    EXPECT_EQ(count(graph, "quantize.default"), 1) << op;
    EXPECT_EQ(result_of(graph, "conv2d.default"), result_of(graph, op));
  }
}
TEST_F(Typed, AClampWithAnotherReaderKeepsTheConvInFloat) {
  const auto c = conv(model_.input({1, 3, 5, 5})), relu = unary("aten.relu.default", c),
             neg = unary("aten.neg.default", c);
  model_.annotate_product(c, false);
  model_.annotate(out(relu), test::activation());
  const ir::Graph graph = typed({relu, neg});
  EXPECT_FALSE(graph.value(graph.output(test::find(graph, "conv2d.default"))).type.qparams);
  bool told = false;
  for (const Note& note : model_.diagnostics.notes())
    told |= note.text().find("computes in float") != std::string::npos;
  EXPECT_TRUE(told);
}
TEST_F(Typed, DataMovementCarriesIntegers) {
  const auto c = conv(model_.input({1, 3, 4, 4}));
  const auto pool = unary("aten.max_pool2d.default", c, {{"kernel_size", std::vector<int64_t>{2, 2}}});
  const auto flat = unary("aten.flatten.using_ints", pool, {{"start_dim", int64_t{1}}});
  model_.annotate_product(c);
  model_.annotate(in(pool), test::share(out(c)));
  model_.annotate(out(pool), test::share(in(pool)));
  model_.annotate(in(flat), test::share(out(pool)));
  model_.annotate(out(flat), test::share(in(flat)));
  const ir::Graph graph = typed({flat});
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv2d.default", "max_pool2d.default", "flatten.using_ints",
                                     "dequantize.default"}));
}
TEST_F(Typed, UnannotatedDataMovementIsCrossed) {
  const auto c = conv(model_.input({1, 3, 4, 4})), relu = unary("aten.relu.default", c);
  const auto flat = unary("aten.flatten.using_ints", relu, {{"start_dim", int64_t{1}}});
  const auto linear =
      model_.add("aten.linear.default", {model_.value(flat), model_.constant(random_tensor({2, 48}, 7))});
  model_.annotate_product(c, false);
  model_.annotate_product(linear);
  const ir::Graph graph = typed({linear});
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv2d.default", "relu.default", "flatten.using_ints",
                                     "linear.default", "dequantize.default"}));
}
TEST_F(Typed, AddMulMeanMatmulAndPools) {
  const auto x = model_.input({1, 3, 4, 4}, "x"), y = model_.input({1, 3, 4, 4}, "y");
  const auto add = model_.add("aten.add.Tensor", {x, y}), mul = model_.add("aten.mul.Tensor", {model_.value(add), y});
  const auto matmul = model_.add("aten.matmul.default", {model_.value(mul), model_.value(add)});
  const auto pool = unary("aten.avg_pool2d.default", matmul, {{"kernel_size", std::vector<int64_t>{2, 2}}});
  const auto mean = unary("aten.mean.dim", pool, {{"dim", std::vector<int64_t>{2, 3}}, {"keepdim", true}});
  for (const auto id : {add, mul, matmul, pool, mean}) model_.annotate_all(id);
  const ir::Graph graph = typed({mean}, 6);
  EXPECT_EQ(count(graph, "quantize.default"), 2);
  EXPECT_EQ(count(graph, "dequantize.default"), 1);
  EXPECT_EQ(count(graph, "requantize.default"), 0);
}
TEST_F(Typed, CatBringsOperandsToOneScale) {
  const auto x = model_.input({1, 3, 4, 4}, "x"), y = model_.input({1, 3, 4, 4}, "y");
  const auto cat = model_.add("aten.cat.default", {x, y}, {{"dim", int64_t{1}}});
  model_.annotate(in(cat, 0), test::activation());
  Spec narrow = test::activation();
  narrow.qmin = -100;
  model_.annotate(in(cat, 1), narrow);
  model_.annotate(out(cat), test::share(in(cat, 0)));
  const ir::Graph graph = typed({cat});
  EXPECT_EQ(count(graph, "requantize.default"), 1);
  const ir::NodeId id = test::find(graph, "cat.default");
  EXPECT_EQ(*graph.value(graph.input(id, 0)).type.qparams, *graph.value(graph.input(id, 1)).type.qparams);
}
TEST_F(Typed, UnequalEndsOfAnEdgeRequantize) {
  const auto c = conv(model_.input({1, 3, 5, 5})), second = conv(model_.value(c), "second");
  model_.annotate_product(c);
  Spec narrow = test::activation();
  narrow.qmin = -100;
  model_.annotate(in(second, 0), narrow);
  model_.annotate(in(second, 1), test::weight());
  model_.annotate(out(second), test::activation());
  const ir::Graph graph = typed({second}, 2);
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv2d.default", "requantize.default", "conv2d.default",
                                     "dequantize.default"}));
}
TEST_F(Typed, FloatNodesBetweenIntegersGetConversions) {
  const auto c = conv(model_.input({1, 3, 5, 5})), exp = unary("aten.exp.default", c);
  model_.annotate_product(c);
  const ir::Graph graph = typed({exp}, 3);
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv2d.default", "dequantize.default", "exp.default"}));
}
TEST_F(Typed, OneDequantizeServesAllFloatReaders) {
  const auto c = conv(model_.input({1, 3, 5, 5})), exp = unary("aten.exp.default", c),
             neg = unary("aten.neg.default", c);
  model_.annotate_product(c);
  EXPECT_EQ(count(typed({exp, neg}, 3), "dequantize.default"), 1);
}
TEST_F(Typed, WeightsOnlyStayIntegersInTheFile) {
  const auto linear =
      model_.add("aten.linear.default", {model_.input({2, 6}), model_.constant(random_tensor({4, 6}, 1))});
  model_.annotate(in(linear, 1), test::weight());
  const ir::Graph graph = typed({linear});
  EXPECT_EQ(test::ops(graph), (Names{"dequantize.default", "linear.default"}));
  EXPECT_EQ(graph.value(graph.input(graph.order()[0], 0)).type.dtype, DType::s8);
}
TEST_F(Typed, DynamicLinear) {
  for (const Scheme scheme : {Scheme::per_tensor, Scheme::per_token}) {
    model_.clear();
    const auto linear = model_.add(
        "aten.linear.default",
        {model_.input({3, 6}), model_.constant(random_tensor({4, 6}, 1)), model_.constant(random_tensor({4}, 2))});
    model_.annotate(in(linear, 0), test::dynamic(scheme));
    model_.annotate(in(linear, 1), test::weight());
    const ir::Graph graph = typed({linear}, 0.5f);
    EXPECT_EQ(test::ops(graph), Names{"linear_dynamic.default"});
    const ir::Node& node = graph.node(graph.order()[0]);
    EXPECT_EQ(get_text(node.attrs, "granularity"), scheme == Scheme::per_token ? "per_token" : "per_tensor");
    EXPECT_EQ(get_int(node.attrs, "qmin"), -128);
    EXPECT_EQ(graph.value(node.inputs[2]).type.dtype, DType::f32);
  }
}
TEST_F(Typed, TransposedConvolutionsHaveChannelsOnAxisOne) {
  const auto c = model_.add("aten.conv_transpose2d.input",
                            {model_.input({1, 3, 4, 4}), model_.constant(random_tensor({3, 2, 3, 3}, 1)),
                             model_.constant(random_tensor({2}, 2))});
  model_.annotate_product(c, true, test::weight(1));
  const ir::Graph graph = typed({c});
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv_transpose2d.input", "dequantize.default"}));
}
TEST_F(Typed, GroupsOfATransposedConvolutionShareTheirScales) {
  const auto c = model_.add("aten.conv_transpose2d.input",
                            {model_.input({1, 4, 4, 4}), model_.constant(random_tensor({4, 3, 3, 3}, 1)),
                             model_.constant(random_tensor({6}, 2))},
                            {{"groups", int64_t{2}}});
  model_.annotate_product(c, true, test::weight(1));
  const ir::Graph graph = typed({c});
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "conv_transpose2d.input", "dequantize.default"}));
  const auto& bias = graph.value(graph.input(test::find(graph, "conv_transpose2d.input"), 2)).type.qparams;
  ASSERT_EQ(bias->scale.size(), 6u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(bias->scale[i], bias->scale[i + 3]);
}
TEST_F(Typed, SixteenBitDataComputesOnIntegers) {
  for (const auto& [dtype, low, high] :
       {std::tuple{DType::s16, -32768, 32767}, {DType::s16, -32767, 32767}, {DType::u16, 0, 65535}}) {
    model_.clear();
    Spec wide = test::activation();
    wide.dtype = dtype;
    wide.qmin = low;
    wide.qmax = high;
    const auto c = conv(model_.input({1, 3, 6, 6}));
    const auto relu = unary("aten.relu.default", c);
    const auto pool = unary("aten.max_pool2d.default", relu, {{"kernel_size", std::vector<int64_t>{2, 2}}});
    const auto twice = model_.add("aten.add.Tensor", {model_.value(pool), model_.value(pool)});
    const auto square = model_.add("aten.mul.Tensor", {model_.value(twice), model_.value(pool)});
    const auto mean = unary("aten.mean.dim", square, {{"dim", std::vector<int64_t>{2, 3}}});
    const auto linear =
        model_.add("aten.linear.default", {model_.value(mean), model_.constant(random_tensor({2, 3}, 7))});
    for (const auto id : {c, linear}) model_.annotate(in(id, 1), test::weight());
    for (const auto id : {c, twice, square, mean, linear}) model_.annotate(in(id, 0), wide);
    for (const auto id : {twice, square}) model_.annotate(in(id, 1), wide);
    for (const auto id : {relu, twice, square, mean, linear}) model_.annotate(out(id), wide);
    const ir::Graph graph = typed({linear}, 0.05f);
    EXPECT_EQ(test::ops(graph),
              (Names{"quantize.default", "conv2d.default", "relu.default", "max_pool2d.default", "add.Tensor",
                     "mul.Tensor", "mean.dim", "linear.default", "dequantize.default"}));
  }
}
TEST_F(Typed, IntegerOutputsOfImportedGraphsKeepTheirQParams) {
  const auto x = model_.input({4});
  Attrs attrs{{"scale", 0.5},
              {"zero_point", int64_t{3}},
              {"quant_min", int64_t{-128}},
              {"quant_max", int64_t{127}},
              {"dtype", std::string("s8")}};
  const auto q = model_.add("quantized_decomposed.quantize_per_tensor.default", {x}, attrs);
  const auto view = model_.add("aten.view.default", {model_.value(q)}, {{"size", std::vector<int64_t>{2, 2}}});
  model_.graph.set_outputs({model_.value(view)});
  const ir::Graph graph = model_.typed(model_.graph);
  EXPECT_EQ(test::ops(graph), (Names{"quantize.default", "view.default"}));
  EXPECT_EQ(result_of(graph, "view.default").zero_point_at(0), 3);
}
TEST_F(Typed, QuantizeOfDequantizeVanishes) {
  const auto x = model_.input({4});
  Attrs attrs{{"scale", 0.5},
              {"zero_point", int64_t{3}},
              {"quant_min", int64_t{-128}},
              {"quant_max", int64_t{127}},
              {"dtype", std::string("s8")}};
  auto value = x;
  for (int i = 0; i < 3; ++i) {
    value = model_.value(model_.add("quantized_decomposed.quantize_per_tensor.default", {value}, attrs));
    value = model_.value(model_.add("quantized_decomposed.dequantize_per_tensor.default", {value}, attrs));
  }
  model_.graph.set_outputs({value});
  EXPECT_EQ(test::ops(model_.typed(model_.graph)), (Names{"quantize.default", "dequantize.default"}));
}
TEST_F(Typed, ContradictingQParamsAreAnError) {
  const auto x = model_.input({4});
  Attrs attrs{{"scale", 0.5},
              {"zero_point", int64_t{3}},
              {"quant_min", int64_t{-128}},
              {"quant_max", int64_t{127}},
              {"dtype", std::string("s8")}};
  const auto q = model_.add("quantized_decomposed.quantize_per_tensor.default", {x}, attrs);
  attrs["scale"] = 0.25;
  const auto dq = model_.add("quantized_decomposed.dequantize_per_tensor.default", {model_.value(q)}, attrs);
  model_.graph.set_outputs({model_.value(dq)});
  const auto found = to_typed(model_.graph, model_.diagnostics);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::unsupported);
}
TEST_F(Typed, BadScalesAreAnError) {
  const auto x = model_.input({4});
  for (const double scale : {0.0, -1.0, 1e300}) {
    const Attrs attrs{{"scale", scale},
                      {"zero_point", int64_t{3}},
                      {"quant_min", int64_t{-128}},
                      {"quant_max", int64_t{127}},
                      {"dtype", std::string("s8")}};
    const auto q = model_.add("quantized_decomposed.quantize_per_tensor.default", {x}, attrs);
    model_.graph.set_outputs({model_.value(q)});
    const auto found = to_typed(model_.graph, model_.diagnostics);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::model);
  }
}

}  // namespace
}  // namespace quoin::quantize
