// What ONNX nodes of networks turn into.
#include <algorithm>

#include "support.hpp"

namespace quoin::import::test {
namespace {

const ir::Node& node_at(const ir::Graph& graph, size_t i) { return graph.node(graph.order()[i]); }

std::vector<float> iota(size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(i);
  return out;
}

TEST(OnnxConv, UnevenPaddingGetsANode) {
  Onnx file;
  file.input("x", {"1", "1", "5", "5"}).floats("w", {1, 1, 2, 2}, {1, 1, 1, 1});
  file.node("Conv", {"x", "w"}, {"y"}).attr("auto_pad", "SAME_UPPER").output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.pad.default aten.conv2d.default");
  EXPECT_EQ(get_ints(node_at(graph, 0).attrs, "pad"), (std::vector<int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(graph.value(graph.outputs()[0]).type.shape, (Shape{1, 1, 5, 5}));
}

TEST(OnnxConv, EvenPaddingStaysInTheConvolution) {
  Onnx file;
  file.input("x", {"1", "1", "5", "5"}).floats("w", {1, 1, 3, 3}, iota(9)).floats("b", {1}, {2});
  file.node("Conv", {"x", "w", "b"}, {"y"})
      .attr("pads", std::vector<int64_t>{1, 1, 1, 1})
      .attr("strides", std::vector<int64_t>{2, 2})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.conv2d.default");
  EXPECT_EQ(get_ints(node_at(graph, 0).attrs, "padding"), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
}

TEST(OnnxGemm, EveryOrientationIsLinear) {
  for (const int64_t turned : {0, 1}) {
    Onnx file;
    file.input("x", {"1", "2"}).floats("c", {3}, {10, 20, 30});
    if (turned) file.floats("w", {3, 2}, {1, 2, 3, 4, 5, 6});
    if (!turned) file.floats("w", {2, 3}, {1, 3, 5, 2, 4, 6});
    file.node("Gemm", {"x", "w", "c"}, {"y"}).attr("transB", turned).output("y");
    const ir::Graph graph = imported(file.bytes());
    EXPECT_EQ(ops(graph), "aten.linear.default");
    EXPECT_EQ(values(run(graph, {floats({1, 2}, {1, 1})})[0]), (std::vector<float>{13, 27, 41}));
  }
}

TEST(OnnxGemm, FactorsAreKept) {
  Onnx file;
  file.input("x", {"1", "2"}).floats("c", {1, 3}, {10, 20, 30}).floats("w", {3, 2}, {1, 2, 3, 4, 5, 6});
  file.node("Gemm", {"x", "w", "c"}, {"y"}).attr("transB", int64_t{1}).attr("alpha", 2.0).attr("beta", 0.5).output("y");
  EXPECT_EQ(values(run(imported(file.bytes()), {floats({1, 2}, {1, 1})})[0]), (std::vector<float>{11, 24, 37}));
}

TEST(OnnxMatMul, WithAConstantAndABiasIsLinear) {
  Onnx file;
  file.input("x", {"1", "4", "2"}).floats("w", {2, 3}, {1, 3, 5, 2, 4, 6}).floats("b", {3}, {10, 20, 30});
  file.node("MatMul", {"x", "w"}, {"m"}).node("Add", {"b", "m"}, {"y"}).output("y");
  EXPECT_EQ(ops(imported(file.bytes())), "aten.linear.default");
  file.output("m");
  EXPECT_EQ(ops(imported(file.bytes())), "aten.linear.default aten.add.Tensor") << "the product itself is needed";
}

TEST(OnnxClip, BoundsAreAttributesOrOperands) {
  Onnx file;
  file.input("x", {"2"}).floats("lo", {}, {0}).floats("hi", {}, {6});
  file.node("Clip", {"x", "lo", "hi"}, {"a"})
      .node("Clip", {"a", "", "hi"}, {"b"})
      .node("Clip", {"b"}, {"c"})
      .output("c");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.hardtanh.default aten.clamp.default");
  EXPECT_EQ(get_number(node_at(graph, 0).attrs, "max_val"), 6);
}

TEST(OnnxPool, UnevenPaddingNeverWins) {
  Onnx file;
  file.input("x", {"1", "1", "4", "4"});
  file.node("MaxPool", {"x"}, {"y"})
      .attr("kernel_shape", std::vector<int64_t>{3, 3})
      .attr("strides", std::vector<int64_t>{2, 2})
      .attr("pads", std::vector<int64_t>{0, 0, 1, 1})
      .output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.max_pool2d.default");
  std::vector<float> x = iota(16);
  for (float& value : x) value -= 100;
  EXPECT_EQ(values(run(graph, {floats({1, 1, 4, 4}, x)})[0]), (std::vector<float>{-90, -89, -86, -85}));
}

TEST(OnnxPool, AverageCountsPaddingOnlyWhenAsked) {
  const auto pooled = [](int64_t counted) {
    Onnx file;
    file.input("x", {"1", "1", "2", "2"});
    file.node("AveragePool", {"x"}, {"y"})
        .attr("kernel_shape", std::vector<int64_t>{2, 2})
        .attr("pads", std::vector<int64_t>{1, 1, 1, 1})
        .attr("strides", std::vector<int64_t>{2, 2})
        .attr("count_include_pad", counted)
        .output("y");
    return values(run(imported(file.bytes()), {floats({1, 1, 2, 2}, {4, 8, 12, 16})})[0]);
  };
  EXPECT_EQ(pooled(0), (std::vector<float>{4, 8, 12, 16}));
  EXPECT_EQ(pooled(1), (std::vector<float>{1, 2, 3, 4}));
}

TEST(OnnxPool, OneDimIsARow) {
  Onnx file;
  file.input("x", {"1", "1", "4"});
  file.node("AveragePool", {"x"}, {"y"})
      .attr("kernel_shape", std::vector<int64_t>{2})
      .attr("strides", std::vector<int64_t>{2})
      .output("y");
  EXPECT_EQ(values(run(imported(file.bytes()), {floats({1, 1, 4}, {1, 3, 5, 7})})[0]), (std::vector<float>{2, 6}));
}

TEST(OnnxReduce, AxesAreAttributesOrOperands) {
  Onnx file;
  file.input("x", {"2", "2"}).ints("axes", {1}, {1});
  file.node("ReduceMean", {"x", "axes"}, {"a"}).attr("keepdims", int64_t{0}).output("a");
  file.node("ReduceMax", {"x"}, {"b"}).attr("axes", std::vector<int64_t>{0}).attr("keepdims", int64_t{0}).output("b");
  file.node("ReduceSum", {"x"}, {"c"}).attr("keepdims", int64_t{0}).output("c");
  const auto out = run(imported(file.bytes()), {floats({2, 2}, {1, 3, 5, 7})});
  EXPECT_EQ(values(out[0]), (std::vector<float>{2, 6}));
  EXPECT_EQ(values(out[1]), (std::vector<float>{5, 7}));
  EXPECT_EQ(values(out[2]), (std::vector<float>{16}));
}

TEST(OnnxQuantization, PerTensorAndPerChannel) {
  Onnx file(21);
  file.input("x", {"1", "2"}).floats("s", {}, {0.5F}).raw<uint8_t>("z", onnx::TensorProto::UINT8, {}, {10});
  file.raw<int8_t>("w", onnx::TensorProto::INT8, {2, 2}, {2, -4, 6, 8})
      .floats("ws", {2}, {0.5F, 0.25F})
      .raw<int8_t>("wz", onnx::TensorProto::INT8, {2}, {0, 0});
  file.raw<int32_t>("b", onnx::TensorProto::INT32, {2}, {4, 8}).floats("bs", {2}, {0.25F, 0.125F});
  file.node("QuantizeLinear", {"x", "s", "z"}, {"q"}).node("DequantizeLinear", {"q", "s", "z"}, {"d"});
  file.node("DequantizeLinear", {"w", "ws", "wz"}, {"wd"}).attr("axis", int64_t{0});
  file.node("DequantizeLinear", {"b", "bs"}, {"bd"}).attr("axis", int64_t{0});
  file.node("Gemm", {"d", "wd", "bd"}, {"y"}).attr("transB", int64_t{1}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph),
            "quantized_decomposed.quantize_per_tensor.default quantized_decomposed.dequantize_per_tensor.default "
            "quantized_decomposed.dequantize_per_channel.default quantized_decomposed.dequantize_per_channel.default "
            "aten.linear.default");
  EXPECT_EQ(get_int(node_at(graph, 0).attrs, "quant_max"), 255);
  EXPECT_EQ(get_text(node_at(graph, 3).attrs, "dtype"), "s32");
  // x = (1, 2); w = (1, -2 | 1.5, 2); b = (1, 1)
  EXPECT_EQ(values(run(graph, {floats({1, 2}, {1.1F, 2})})[0]), (std::vector<float>{-2, 6.5F}));
}

TEST(OnnxQuantization, BlocksOfTheLastAxisAreGroups) {
  Onnx file(21);
  file.input("x", {"2", "4"})
      .floats("s", {2, 2}, {1, 0.5F, 2, 1})
      .raw<int8_t>("z", onnx::TensorProto::INT8, {2, 2}, {0, 0, 0, 1});
  file.raw<int8_t>("w", onnx::TensorProto::INT8, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  file.node("DequantizeLinear", {"w", "s", "z"}, {"d"}).attr("axis", int64_t{1}).attr("block_size", int64_t{2});
  file.node("Add", {"x", "d"}, {"y"}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(get_int(node_at(graph, 0).attrs, "group_size"), 2);
  EXPECT_EQ(values(run(graph, {floats({2, 4}, std::vector<float>(8, 0))})[0]),
            (std::vector<float>{1, 2, 1.5F, 2, 10, 12, 6, 7}));
}

TEST(OnnxQuantization, OtherBlocksAreRefusedWithAReason) {
  Onnx file(21);
  file.input("x", {"4", "4"}).floats("s", {2, 4}, std::vector<float>(8, 1));
  file.node("QuantizeLinear", {"x", "s"}, {"y"}).attr("axis", int64_t{0}).attr("block_size", int64_t{2}).output("y");
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::unsupported);
  EXPECT_NE(error.text().find("blocks of 2 along axis 0"), std::string::npos) << error.text();
}

TEST(OnnxQuantization, FourBitConstantsGetAByteEachAndKeepTheirRange) {
  constexpr int kInt4 = 22;
  Onnx file(21);
  file.input("x", {"3"}).floats("s", {}, {0.5F}).raw<uint8_t>("z", kInt4, {}, {0x01});
  file.raw<uint8_t>("w", kInt4, {3}, {0x8f, 0x07});
  file.node("DequantizeLinear", {"w", "s", "z"}, {"d"}).node("Add", {"x", "d"}, {"y"}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(get_int(node_at(graph, 0).attrs, "quant_min"), -8);
  EXPECT_EQ(get_int(node_at(graph, 0).attrs, "quant_max"), 7);
  EXPECT_EQ(values(run(graph, {floats({3}, {0, 0, 0})})[0]), (std::vector<float>{-1, -4.5F, 3}));
}

TEST(OnnxQuantization, FourBitConstantsWithTooFewBytesAreRefused) {
  Onnx file(21);
  file.input("x", {"5"}).floats("s", {}, {0.5F}).raw<uint8_t>("w", 22, {5}, {0x8f, 0x07});
  file.node("DequantizeLinear", {"w", "s"}, {"d"}).node("Add", {"x", "d"}, {"y"}).output("y");
  EXPECT_EQ(refusal(file.bytes()).code, Code::model);
}

TEST(OnnxIndexing, GatherNdPicksByCoordinates) {
  Onnx file(18);
  file.input("x", {"2", "3"}).ints("i", {2, 2}, {0, 2, 1, -3}).node("GatherND", {"x", "i"}, {"y"}).output("y");
  EXPECT_EQ(values(run(imported(file.bytes()), {floats({2, 3}, {0, 1, 2, 3, 4, 5})})[0]), (std::vector<float>{2, 3}));
}

TEST(OnnxNames, OfOutputsAreKept) {
  Onnx file;
  file.input("x", {"2", "4"});
  file.node("Relu", {"x"}, {"r"}).node("Identity", {"r"}, {"y"}).output("y");
  file.node("Split", {"x"}, {"first", "second"}).attr("axis", int64_t{1}).attr("num_outputs", int64_t{2});
  file.output("second").output("first");
  const ir::Graph graph = imported(file.bytes());
  std::vector<std::string> names;
  for (const ir::ValueId id : graph.outputs()) names.push_back(graph.value(id).name);
  EXPECT_EQ(names, (std::vector<std::string>{"y", "second", "first"}));
}

TEST(OnnxNames, GiveModulePaths) {
  const std::vector<std::pair<std::string, std::string>> cases{{"/features/0/conv/Relu", "features.0.conv"},
                                                               {"/layer1/layer1.0/conv1/Relu", "layer1.0.conv1"},
                                                               {"/Relu", ""},
                                                               {"node_relu", ""},
                                                               {"/a//b/Relu", "a.b"}};
  for (const auto& [name, path] : cases) {
    Onnx file;
    file.input("x", {"2"}).node("Relu", {"x"}, {"y"}).name(name).output("y");
    EXPECT_EQ(node_at(imported(file.bytes()), 0).module_path(), path) << name;
  }
}

TEST(OnnxNames, UnknownOperatorsAreListedTogether) {
  Onnx file;
  file.input("x", {"2"});
  file.node("Einsum", {"x"}, {"a"})
      .name("/enc/attn/Einsum")
      .node("Wonder", {"a"}, {"b"})
      .domain("acme")
      .node("NonZero", {"x"}, {"dead"})
      .output("b");
  const Error error = refusal(file.bytes());
  EXPECT_EQ(error.code, Code::unsupported);
  for (const char* part : {"Einsum", "acme::Wonder", "module enc.attn", "node b"})
    EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
  EXPECT_EQ(error.text().find("NonZero"), std::string::npos) << "dead nodes do not matter";
}

TEST(OnnxDims, AreBoundByNameOrPlace) {
  Onnx file;
  file.input("x", {"batch", "3", ""}).node("Relu", {"x"}, {"y"}).output("y");
  const auto shape_of = [](const ir::Graph& graph) { return graph.value(graph.outputs()[0]).type.shape; };
  EXPECT_EQ(shape_of(imported(file.bytes())), (Shape{1, 3, 1}));
  EXPECT_EQ(shape_of(imported(file.bytes(), {{{"batch", 4}, {"x.2", 7}}})), (Shape{4, 3, 7}));
}

TEST(OnnxOpsets, OldOnesAreRefusedAndNewOnesNoted) {
  for (const int64_t opset : {int64_t{12}, int64_t{13}, int64_t{22}, int64_t{25}}) {
    Onnx file(opset);
    file.input("x", {"2"}).node("Relu", {"x"}, {"y"}).output("y");
    Diagnostics diagnostics;
    const auto graph = import_bytes(file.bytes(), {}, &diagnostics);
    EXPECT_EQ(graph.has_value(), opset >= 13) << opset;
    EXPECT_EQ(diagnostics.notes().empty(), opset <= 22) << opset;
  }
}

}  // namespace
}  // namespace quoin::import::test
