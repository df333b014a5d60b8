// What .pt2 programs turn into.
#include <algorithm>
#include <cmath>

#include "support.hpp"

namespace quoin::import::test {
namespace {

const ir::Node& node_at(const ir::Graph& graph, size_t i) { return graph.node(graph.order()[i]); }

Pt2 unary(const std::string& target, std::vector<std::pair<std::string, json>> more = {},
          std::vector<int64_t> shape = {2, 3}, std::vector<int64_t> input = {2, 3}) {
  Pt2 file(std::move(input));
  more.insert(more.begin(), {"self", tensor_arg("x")});
  file.node(target, "y", std::move(more), std::move(shape)).output("y");
  return file;
}

TEST(Pt2, KeepsNamesModulesAndSource) {
  Pt2 file = unary("aten.relu.default");
  file.metadata("L__self__,,my.Model;L__self__enc,enc,my.Encoder;L__self__enc.0@1,enc.0,torch.nn.ReLU",
                "File \"a.py\", line 3, in f\n  g()\n  File \"b.py\", line 17, in g\n    return relu(x)");
  const ir::Graph graph = imported(file.bytes());
  const ir::Node& node = node_at(graph, 0);
  EXPECT_EQ(node.name, "y");
  EXPECT_EQ(node.source, "b.py:17");
  EXPECT_EQ(node.modules, (std::vector<ir::ModuleFrame>{{"enc", "my.Encoder"}, {"enc.0", "torch.nn.ReLU"}}));
  EXPECT_EQ(node.origins, std::vector<std::string>{"y"});
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "x");
}

TEST(Pt2, NumbersBecomeScalarOverloads) {
  const ir::Graph graph = imported(unary("aten.mul.Tensor", {{"other", float_arg(0.5)}}).bytes());
  EXPECT_EQ(ops(graph), "aten.mul.Scalar");
  EXPECT_EQ(get_number(node_at(graph, 0).attrs, "other"), 0.5);
}

TEST(Pt2, FillsDefaultsAndNormalisesLists) {
  Pt2 file({1, 2, 8, 8});
  file.parameter("w", {4, 2, 3, 3}, std::vector<float>(72, 1))
      .node("aten.conv2d.default", "y",
            {{"input", tensor_arg("x")}, {"weight", tensor_arg("p_w")}, {"padding", ints_arg({1})}}, {1, 4, 8, 8})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  const Attrs& attrs = node_at(graph, 0).attrs;
  EXPECT_EQ(get_ints(attrs, "padding"), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(get_ints(attrs, "stride"), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(get_int(attrs, "groups"), 1);
  EXPECT_EQ(graph.value(node_at(graph, 0).inputs[1]).name, "w");
}

TEST(Pt2, SamePaddingIsEvenOrGetsANode) {
  const auto conv = [](int64_t kernel) {
    Pt2 file({1, 1, 6, 6});
    file.parameter("w", {1, 1, kernel, kernel}, std::vector<float>(static_cast<size_t>(kernel * kernel), 1))
        .node("aten.conv2d.padding", "y",
              {{"input", tensor_arg("x")}, {"weight", tensor_arg("p_w")}, {"padding", text_arg("same")}}, {1, 1, 6, 6})
        .output("y");
    return imported(file.bytes());
  };
  EXPECT_EQ(ops(conv(3)), "aten.conv2d.default");
  EXPECT_EQ(get_ints(node_at(conv(3), 0).attrs, "padding"), (std::vector<int64_t>{1, 1}));
  const ir::Graph even = conv(4);
  EXPECT_EQ(ops(even), "aten.pad.default aten.conv2d.default");
  EXPECT_EQ(get_ints(node_at(even, 0).attrs, "pad"), (std::vector<int64_t>{1, 2, 1, 2}));
  EXPECT_EQ(node_at(even, 0).origins, std::vector<std::string>{"y"});
}

TEST(Pt2, DropsAssertionsAndDeadNodes) {
  Pt2 file({2, 3});
  file.node("aten._assert_tensor_metadata.default", "check", {{"a", tensor_arg("x")}}, {}).no_result();
  file.node("aten.nonsense.default", "dead", {{"self", tensor_arg("x")}}, {2, 3});
  file.node("aten.relu.default", "y", {{"self", tensor_arg("x")}}, {2, 3}).output("y");
  EXPECT_EQ(ops(imported(file.bytes())), "aten.relu.default");
}

TEST(Pt2, ReadsStridedWeights) {
  Pt2 file({1, 2});
  // w is [2, 3] with strides (1, 2) behind one element of storage: the transpose of 3 x 2.
  file.strided("w", {2, 3}, {1, 2}, 1, {9, 1, 2, 3, 4, 5, 6})
      .node("aten.matmul.default", "y", {{"self", tensor_arg("x")}, {"other", tensor_arg("p_w")}}, {1, 3})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(values(*graph.value(node_at(graph, 0).inputs[1]).constant), (std::vector<float>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(values(run(graph, {floats({1, 2}, {1, 10})})[0]), (std::vector<float>{21, 43, 65}));
}

TEST(Pt2, BindsSymbolsInInputsAndViews) {
  Pt2 file({1});
  file.graph()["inputs"] = json::array();
  file.program()["graph_module"]["signature"]["input_specs"] = json::array();
  const json s77{{"as_expr", {{"expr_str", "s77"}, {"hint", {{"as_int", 4}}}}}};
  file.program()["range_constraints"]["s77"] = {{"min_val", 2}, {"max_val", 64}};
  file.input("x", {s77, json{{"as_int", 6}}});
  file.graph()["sym_int_values"]["n"] = s77;
  file.graph()["sym_int_values"]["twice"] = {{"as_expr", {{"expr_str", "2*s77"}}}};
  file.node("aten.sym_size.int", "n", {{"self", tensor_arg("x")}, {"dim", int_arg(0)}}, {});
  file.graph()["nodes"].back()["outputs"] = {{{"as_sym_int", {{"as_name", "n"}}}}};
  const json shape{{"as_sym_ints", {json{{"as_name", "twice"}}, json{{"as_int", 3}}}}};
  file.node("aten.view.default", "y", {{"self", tensor_arg("x")}, {"size", shape}}, {1, 3}).output("y");
  file.graph()["tensor_values"]["y"]["sizes"][0] = {{"as_expr", {{"expr_str", "2*s77"}}}};
  const auto shape_of = [](const ir::Graph& graph) { return graph.value(graph.outputs()[0]).type.shape; };
  EXPECT_EQ(shape_of(imported(file.bytes())), (Shape{2, 3}));
  EXPECT_EQ(shape_of(imported(file.bytes(), {{{"s77", 5}}})), (Shape{10, 3}));
  EXPECT_EQ(refusal(file.bytes(), {{{"s77", 65}}}).code, Code::input);
  Diagnostics diagnostics;
  ASSERT_TRUE(import_bytes(file.bytes(), {{{"s7", 5}}}, &diagnostics).has_value());
  EXPECT_TRUE(std::ranges::any_of(diagnostics.notes(), [](const Note& note) { return note.level == Level::warning; }))
      << "a size for a dimension the model lacks is reported";
}

TEST(Pt2, InPlaceOperatorsChangeLaterReads) {
  Pt2 file({2});
  file.node("aten.relu_.default", "r", {{"self", tensor_arg("x")}}, {2});
  file.node("aten.add.Tensor", "y", {{"self", tensor_arg("x")}, {"other", tensor_arg("r")}}, {2}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.relu.default aten.add.Tensor");
  EXPECT_EQ(values(run(graph, {floats({2}, {-1, 3})})[0]), (std::vector<float>{0, 6}));
}

TEST(Pt2, RefusesInPlaceChangesOfBytesThatAreReadLater) {
  Pt2 file({2, 2});
  file.node("aten.view.default", "v", {{"self", tensor_arg("x")}, {"size", ints_arg({4})}}, {4});
  file.node("aten.relu_.default", "r", {{"self", tensor_arg("x")}}, {2, 2});
  file.node("aten.neg.default", "y", {{"self", tensor_arg("v")}}, {4}).output("y").output("r");
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::unsupported);
  EXPECT_NE(error.text().find("shares its bytes"), std::string::npos) << error.text();
}

TEST(Pt2, ListsEveryUnknownOperator) {
  Pt2 file({2});
  file.node("aten.foo.default", "a", {{"self", tensor_arg("x")}}, {2})
      .metadata("L__self__,,M;L__self__head,head,H", "");
  file.node("custom.bar.default", "b", {{"self", tensor_arg("a")}}, {2}).output("b");
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::unsupported);
  for (const char* part : {"aten.foo.default", "custom.bar.default", "node a", "node b", "module head"})
    EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
}

TEST(Pt2, SplitsIntoSlices) {
  Pt2 file({5});
  file.node("aten.split.Tensor", "s", {{"self", tensor_arg("x")}, {"split_size", int_arg(2)}}, {})
      .results({{"a", {2}}, {"b", {2}}, {"c", {1}}})
      .output("a")
      .output("c");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.slice.Tensor aten.slice.Tensor");
  const auto outputs = run(graph, {floats({5}, {1, 2, 3, 4, 5})});
  EXPECT_EQ(values(outputs[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(values(outputs[1]), (std::vector<float>{5}));
}

TEST(Pt2, ProductWithATransposedWeightIsLinear) {
  Pt2 file({1, 2});
  file.parameter("w", {3, 2}, {1, 2, 3, 4, 5, 6})
      .parameter("b", {3}, {10, 20, 30})
      .node("aten.t.default", "wt", {{"self", tensor_arg("p_w")}}, {2, 3})
      .node("aten.addmm.default", "y",
            {{"self", tensor_arg("p_b")}, {"mat1", tensor_arg("x")}, {"mat2", tensor_arg("wt")}}, {1, 3})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.linear.default");
  EXPECT_EQ(values(run(graph, {floats({1, 2}, {1, 1})})[0]), (std::vector<float>{13, 27, 41}));
}

TEST(Pt2, AttentionFollowsItsFormula) {
  Pt2 file({1, 1, 2, 2});
  file.node("aten.scaled_dot_product_attention.default", "y",
            {{"query", tensor_arg("x")},
             {"key", tensor_arg("x")},
             {"value", tensor_arg("x")},
             {"is_causal", bool_arg(true)}},
            {1, 1, 2, 2})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(graph.node(graph.order().back()).name, "y");
  const auto out = values(run(graph, {floats({1, 1, 2, 2}, {1, 0, 0, 2})})[0]);
  // Row 0 sees itself; row 1 has scores 0 and 4 / sqrt(2).
  const double weight = 1 / (1 + std::exp(-4 / std::sqrt(2.0)));
  EXPECT_FLOAT_EQ(out[0], 1);
  EXPECT_FLOAT_EQ(out[1], 0);
  EXPECT_NEAR(out[2], 1 - weight, 1e-6);
  EXPECT_NEAR(out[3], 2 * weight, 1e-6);
}

TEST(Pt2, VarianceCountsWithItsCorrection) {
  Pt2 file = unary("aten.var.correction", {{"dim", ints_arg({1})}, {"correction", int_arg(1)}}, {2});
  EXPECT_EQ(values(run(imported(file.bytes()), {floats({2, 3}, {1, 2, 3, 0, 0, 6})})[0]), (std::vector<float>{1, 12}));
}

TEST(Pt2, ReadsInfinityWrittenAsText) {
  Pt2 file = unary("aten.clamp.default", {{"min", json{{"as_float", "-Infinity"}}}, {"max", float_arg(1)}});
  EXPECT_EQ(get_number(node_at(imported(file.bytes()), 0).attrs, "min"), -INFINITY);
}

TEST(Pt2, TheFilesElementTypeWinsOverPromotion) {
  Pt2 file({2});
  file.input("h", {}, 8);  // a zero-dim f64 does not widen an f32 tensor in torch
  file.node("aten.add.Tensor", "y", {{"self", tensor_arg("x")}, {"other", tensor_arg("h")}}, {2}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(graph.value(graph.outputs()[0]).type.dtype, DType::f32);
}

TEST(Pt2, RefusesResultsOfAnotherShapeThanStated) {
  const Error error = refusal(unary("aten.relu.default", {}, {2, 4}).bytes());
  EXPECT_EQ(error.code, Code::model);
  EXPECT_NE(error.text().find("[2, 4]"), std::string::npos) << error.text();
}

TEST(Pt2, QuantizedGraphsPassThrough) {
  Pt2 file({4});
  const std::vector<std::pair<std::string, json>> range{{"scale", float_arg(0.5)},
                                                        {"zero_point", int_arg(1)},
                                                        {"quant_min", int_arg(-128)},
                                                        {"quant_max", int_arg(127)},
                                                        {"dtype", {{"as_scalar_type", 2}}}};
  auto args = range;
  args.insert(args.begin(), {"input", tensor_arg("x")});
  file.node("quantized_decomposed.quantize_per_tensor.default", "q", args, {4}, 2);
  args[0].second = tensor_arg("q");
  file.node("quantized_decomposed.dequantize_per_tensor.default", "y", args, {4}).output("y");
  EXPECT_EQ(values(run(imported(file.bytes()), {floats({4}, {0.2F, 0.3F, -1, 100})})[0]),
            (std::vector<float>{0, 0.5F, -1, 63}));
}

// Models quantized in Python: their operators are ours, argument for argument.
TEST(Pt2, TakesQuantizeOperatorsAsTheyAre) {
  const json s8 = {{"as_scalar_type", 2}}, none = {{"as_none", true}};
  Pt2 file({4, 6});
  file.parameter("s", {4, 2}, std::vector<float>(8, 0.5f))
      .node("torchao.quantize_affine.default", "q",
            {{"input", tensor_arg("x")},
             {"block_size", ints_arg({1, 3})},
             {"scale", tensor_arg("p_s")},
             {"zero_point", none},
             {"output_dtype", s8},
             {"quant_min", int_arg(-8)},
             {"quant_max", none}},
            {4, 6}, 2)
      .node("torchao.dequantize_affine.default", "d",
            {{"input", tensor_arg("q")},
             {"block_size", ints_arg({1, 3})},
             {"scale", tensor_arg("p_s")},
             {"zero_point", none},
             {"input_dtype", s8},
             {"quant_min", int_arg(-8)},
             {"quant_max", none}},
            {4, 6})
      .node("quantized_decomposed.quantize_per_tensor.default", "e",
            {{"input", tensor_arg("d")},
             {"scale", float_arg(0.25)},
             {"zero_point", int_arg(3)},
             {"quant_min", int_arg(-128)},
             {"quant_max", int_arg(127)},
             {"dtype", s8}},
            {4, 6}, 2)
      .output("e");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph),
            "torchao.quantize_affine.default torchao.dequantize_affine.default "
            "quantized_decomposed.quantize_per_tensor.default");
  const Attrs& attrs = node_at(graph, 0).attrs;
  EXPECT_EQ(get_ints(attrs, "block_size"), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(get_int(attrs, "quant_min"), -8);
  EXPECT_FALSE(has(attrs, "quant_max"));
  EXPECT_EQ(get_text(attrs, "output_dtype"), "s8");
}

TEST(Pt2, TensorSubclassesAreRefusedWithTheWayOut) {
  Pt2 file({2, 3});
  file.parameter("w", {2, 3}, std::vector<float>(6, 1))
      .node("export.access_subclass_inner_tensor.default", "y",
            {{"src_subclass_tensor", tensor_arg("p_w")}, {"attr", text_arg("qdata")}}, {2, 3})
      .output("y");
  EXPECT_NE(refusal(file.bytes()).text().find("unwrap_tensor_subclass"), std::string::npos);
}

}  // namespace
}  // namespace quoin::import::test
