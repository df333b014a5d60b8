// QDQ graphs: what is written, and that it means the same integers when read back.
#include <algorithm>
#include <cmath>

#include "support.hpp"

namespace quoin::exporter {
namespace {

using namespace test;

const std::string kQuantize = "quantized_decomposed.quantize_", kDequantize = "quantized_decomposed.dequantize_";

Attrs range(int64_t low, int64_t high, const char* dtype) {
  return {{"quant_min", low}, {"quant_max", high}, {"dtype", std::string(dtype)}};
}
Attrs with(Attrs attrs, const Attrs& more) {
  attrs.insert(more.begin(), more.end());
  return attrs;
}
Tensor longs(Shape shape, const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(DType::s64, std::move(shape), values);
}

// x -> quantize -> dequantize, both results returned.
ir::Graph quantized(const Attrs& attrs, Shape shape = {4, 50}) {
  Build to;
  const auto q = to.add(kQuantize + "per_tensor.default", {to.input("x", std::move(shape))}, attrs, "q");
  return to.returns({q, to.add(kDequantize + "per_tensor.default", {q}, attrs, "dq")});
}

// A constant behind dequantize nodes with `operands` besides it.
ir::Graph constant_weight(Tensor weight, const std::string& kind, const Attrs& attrs,
                          const std::vector<Tensor>& operands) {
  Build to;
  std::vector<ir::ValueId> inputs{to.constant("w", std::move(weight))};
  for (const Tensor& each : operands) inputs.push_back(to.constant("p" + std::to_string(inputs.size()), each));
  const auto w = to.add(kDequantize + kind, inputs, attrs, "dq");
  return to.returns({to.add("aten.add.Tensor", {to.input("x", {1}), w})});
}

std::vector<std::string> op_types(const onnx::ModelProto& model) {
  std::vector<std::string> out;
  for (const auto& node : model.graph().node()) out.push_back(node.op_type());
  return out;
}
const onnx::TensorProto* initializer(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& each : model.graph().initializer())
    if (each.name() == name) return &each;
  return nullptr;
}

void expect_same_run(const ir::Graph& graph, const std::vector<Tensor>& inputs, std::optional<int64_t> opset = {}) {
  const auto expected = run(graph, inputs), found = run(round_trip(graph, opset), inputs);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) expect_near(found[i], expected[i], 0);
}

TEST(Qdq, PerTensorIsOneNodeEach) {
  const Attrs attrs = with(range(-128, 127, "s8"), {{"scale", 0.05}, {"zero_point", int64_t{-3}}});
  const onnx::ModelProto model = model_of(quantized(attrs));
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"QuantizeLinear", "DequantizeLinear"}));
  EXPECT_EQ(model.graph().node(0).input(1), model.graph().node(1).input(1)) << "one constant for both scales";
  EXPECT_EQ(initializer(model, model.graph().node(0).input(2))->data_type(), onnx::TensorProto::INT8);
  expect_same_run(quantized(attrs), {random_floats({4, 50}, 1, -9, 9)});
}

TEST(Qdq, EightBitTypesNeedTheOldOpsetOnly) {
  for (const auto& [low, high, dtype, zero] :
       std::vector<std::tuple<int, int, const char*, int64_t>>{{-128, 127, "s8", 5}, {0, 255, "u8", 128}}) {
    const Attrs attrs = with(range(low, high, dtype), {{"scale", 0.03}, {"zero_point", zero}});
    EXPECT_EQ(model_of(quantized(attrs)).opset_import(0).version(), 13);
    for (const int64_t opset : {13, 21}) expect_same_run(quantized(attrs), {random_floats({4, 50}, 1, -6, 6)}, opset);
  }
}

TEST(Qdq, SixteenBitsNeedTheNewOpset) {
  for (const auto& [low, high, dtype, zero] :
       std::vector<std::tuple<int, int, const char*, int64_t>>{{-32768, 32767, "s16", 5}, {0, 65535, "u16", 30000}}) {
    const ir::Graph graph = quantized(with(range(low, high, dtype), {{"scale", 1e-4}, {"zero_point", zero}}));
    const Error error = refusal(graph, at(13));
    EXPECT_EQ(error.code, Code::unsupported);
    for (const char* word : {dtype, "node q", "--opset 21"})
      EXPECT_NE(error.text().find(word), std::string::npos) << error.text();
    EXPECT_EQ(model_of(graph).opset_import(0).version(), 21);
    expect_same_run(graph, {random_floats({4, 50}, 1, -6, 6)});
  }
}

TEST(Qdq, NarrowRangesAreClippedExactly) {
  for (const auto& [low, high] : std::vector<std::pair<int64_t, int64_t>>{{-127, 127}, {-64, 63}, {-3, 100}}) {
    const Attrs attrs = with(range(low, high, "s8"), {{"scale", 0.0371}, {"zero_point", int64_t{11}}});
    const ir::Graph graph = quantized(attrs);
    EXPECT_EQ(op_types(model_of(graph))[0], "Clip");
    expect_same_run(graph, {random_floats({4, 50}, 1, -9, 9)});
  }
}

TEST(Qdq, ActivationsBecomeUnsignedOnDemandWithTheSameReals) {
  const Attrs attrs = with(range(-127, 127, "s8"), {{"scale", 0.05}, {"zero_point", int64_t{-3}}});
  Build to;
  const auto q = to.add(kQuantize + "per_tensor.default", {to.input("x", {4, 50})}, attrs, "q");
  const auto w = to.constant("w", random_integers<int8_t>(DType::s8, {50}, 1, -127, 127));
  const auto dq = to.add(kDequantize + "per_tensor.default", {q}, attrs, "dq");
  to.returns({to.add("aten.mul.Tensor", {dq, to.add(kDequantize + "per_tensor.default", {w}, attrs, "dw")})});
  OnnxOptions options;
  options.unsigned_activations = true;
  const onnx::ModelProto model = model_of(to.graph, options);
  const auto zero_point = [&](const std::string& node) {
    for (const auto& each : model.graph().node())
      if (each.name() == node) return initializer(model, each.input(2));
    return static_cast<const onnx::TensorProto*>(nullptr);
  };
  for (const char* node : {"q", "dq"}) {
    EXPECT_EQ(zero_point(node)->data_type(), onnx::TensorProto::UINT8) << node;
    EXPECT_EQ(static_cast<uint8_t>(zero_point(node)->raw_data()[0]), 125) << node;
  }
  EXPECT_EQ(zero_point("dw")->data_type(), onnx::TensorProto::INT8) << "constants stay";
  const TempFolder folder;
  written(to.graph, folder / "m.onnx", options);
  const std::vector<Tensor> inputs{random_floats({4, 50}, 1, -9, 9)};
  expect_near(run(imported(folder / "m.onnx"), inputs)[0], run(to.graph, inputs)[0], 0);
}

TEST(Qdq, IntegersThatAreResultsStaySigned) {
  const Attrs attrs = with(range(-128, 127, "s8"), {{"scale", 0.05}, {"zero_point", int64_t{-3}}});
  OnnxOptions options;
  options.unsigned_activations = true;
  EXPECT_EQ(model_of(quantized(attrs), options).graph().output(0).type().tensor_type().elem_type(),
            onnx::TensorProto::INT8);
}

TEST(Qdq, ChannelsKeepTheirAxisAndNarrowRange) {
  Build to;
  const auto x = to.input("x", {2, 3, 40});
  const auto scale = to.constant("s", floats({3}, {0.01F, 0.5F, 0.07F}));
  const auto zero = to.constant("z", longs({3}, {0, 3, -20}));
  const Attrs attrs = with(range(-100, 90, "s8"), {{"axis", int64_t{-2}}});
  const auto q = to.add(kQuantize + "per_channel.default", {x, scale, zero}, attrs, "q");
  to.returns({q, to.add(kDequantize + "per_channel.default", {q, scale, zero}, attrs, "dq")});
  expect_same_run(to.graph, {random_floats({2, 3, 40}, 1, -9, 9)});
  EXPECT_EQ(model_of(to.graph).graph().node(3).attribute(0).i(), 1);
}

TEST(Qdq, BiasesAreInt32WithoutZeroPoint) {
  const Tensor bias = random_integers<int32_t>(DType::s32, {6}, 1, -90000, 90000);
  const Attrs attrs = with(range(INT32_MIN, INT32_MAX, "s32"), {{"scale", 1e-4}, {"zero_point", int64_t{0}}});
  const ir::Graph graph = constant_weight(bias, "per_tensor.default", attrs, {});
  const onnx::ModelProto model = model_of(graph);
  EXPECT_EQ(model.graph().node(0).input_size(), 2);
  EXPECT_EQ(initializer(model, "w")->data_type(), onnx::TensorProto::INT32);
  expect_same_run(graph, {floats({1}, {0})});
}

TEST(Qdq, QuantizingToInt32AtRunTimeIsRefused) {
  const Attrs attrs = with(range(INT32_MIN, INT32_MAX, "s32"), {{"scale", 1e-4}, {"zero_point", int64_t{0}}});
  EXPECT_NE(refusal(quantized(attrs)).text().find("s32"), std::string::npos);
}

TEST(Qdq, FourBitConstantsAreBytesAtTheOldOpsetAndPackedAtTheNewOne) {
  const Tensor weight = random_integers<int8_t>(DType::s8, {3, 5}, 1, -8, 7);
  const Attrs attrs = with(range(-8, 7, "s8"), {{"scale", 0.1}, {"zero_point", int64_t{0}}});
  const ir::Graph graph = constant_weight(weight, "per_tensor.default", attrs, {});
  EXPECT_EQ(initializer(model_of(graph, at(13)), "w")->raw_data().size(), 15u);
  const onnx::ModelProto packed = model_of(graph, at(21));
  const onnx::TensorProto* tensor = initializer(packed, packed.graph().node(0).input(0));
  EXPECT_EQ(tensor->data_type(), 22);  // INT4
  EXPECT_EQ(tensor->raw_data().size(), 8u);
  for (const int64_t opset : {13, 21}) expect_same_run(graph, {floats({1}, {0})}, opset);
  const ir::Graph back = round_trip(graph, 21);
  EXPECT_EQ(get_int(back.node(back.order()[0]).attrs, "quant_min"), -8);
  EXPECT_EQ(get_int(back.node(back.order()[0]).attrs, "quant_max"), 7);
}

TEST(Qdq, GroupsAreBlocksOfTheLastAxis) {
  for (const auto& [low, high, dtype] :
       std::vector<std::tuple<int, int, const char*>>{{-8, 7, "s8"}, {0, 15, "u8"}, {-128, 127, "s8"}}) {
    const bool is_signed = std::string(dtype) == "s8";
    const Tensor weight = is_signed ? random_integers<int8_t>(DType::s8, {4, 64}, 1, low, high)
                                    : random_integers<uint8_t>(DType::u8, {4, 64}, 1, low, high);
    const Attrs attrs = with(range(low, high, dtype), {{"group_size", int64_t{32}}});
    const ir::Graph graph =
        constant_weight(weight, "per_channel_group.default", attrs,
                        {random_floats({4, 2}, 2, 0.01F, 0.1F), longs({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7})});
    const Error error = refusal(graph, at(13));
    EXPECT_NE(error.text().find("blocks of 32"), std::string::npos) << error.text();
    EXPECT_NE(error.text().find("--opset 21"), std::string::npos) << error.text();
    EXPECT_EQ(model_of(graph).opset_import(0).version(), 21);
    expect_same_run(graph, {floats({1}, {0})});
  }
}

// Blocks of any shape: what ONNX can say of them.
ir::Graph blocked(const Shape& shape, const Shape& block) {
  Shape scales = shape;
  for (size_t i = 0; i < shape.size(); ++i) scales[i] /= block[i];
  const Attrs attrs{{"block_size", block}, {"input_dtype", std::string("s8")}};
  Build to;
  const auto w = to.constant("w", random_integers<int8_t>(DType::s8, shape, 1, -128, 127));
  const auto s = to.constant("s", random_floats(scales, 2, 0.01F, 0.1F));
  return to.returns(
      {to.add("aten.add.Tensor", {to.input("x", {1}), to.add("torchao.dequantize_affine.default", {w, s}, attrs)})});
}

TEST(Blocks, OfWholeTensorsAndChannelsNeedNoBlocks) {
  for (const Shape& block : {Shape{4, 6}, Shape{1, 6}, Shape{4, 1}}) {
    EXPECT_EQ(model_of(blocked({4, 6}, block)).opset_import(0).version(), 13) << to_string(block);
    expect_same_run(blocked({4, 6}, block), {floats({1}, {0})});
  }
}

TEST(Blocks, AlongTheLastAxisRunTheSame) { expect_same_run(blocked({4, 6}, {1, 3}), {floats({1}, {0})}, 21); }

TEST(Blocks, AlongAnyAxisAreWritten) {
  const onnx::ModelProto model = model_of(blocked({4, 6, 2}, {1, 3, 1}));
  EXPECT_EQ(model.opset_import(0).version(), 21);
  ASSERT_EQ(model.graph().node(0).attribute_size(), 2);
  EXPECT_EQ(model.graph().node(0).attribute(0).i(), 1) << "axis";
  EXPECT_EQ(model.graph().node(0).attribute(1).i(), 3) << "block_size";
  EXPECT_EQ(initializer(model, model.graph().node(0).input(1))->dims(1), 2);
}

TEST(Blocks, OverSeveralAxesAreRefused) {
  const Error error = refusal(blocked({4, 6}, {2, 3}));
  EXPECT_EQ(error.code, Code::unsupported);
  EXPECT_NE(error.text().find("[2, 3]"), std::string::npos) << error.text();
}

// choose_qparams -> quantize -> dequantize; every result returned.
ir::Graph dynamic(const std::string& chooser, const Attrs& choose, const std::string& kind, Shape shape) {
  Build to;
  const auto x = to.input("x", std::move(shape));
  const auto scale = to.add("quantized_decomposed." + chooser, {x}, choose, "choose");
  const auto zero = to.graph.node(to.graph.value(scale).producer).outputs[1];
  const auto q = to.add(kQuantize + kind, {x, scale, zero}, range(-128, 127, "s8"), "q");
  const auto dq = to.add(kDequantize + kind, {q, scale, zero}, range(-128, 127, "s8"), "dq");
  return to.returns({scale, zero, q, dq});
}

TEST(Dynamic, GivesTheSameScalesAndIntegersPerTensor) {
  for (const char* chooser : {"choose_qparams.tensor", "choose_qparams_symmetric.tensor"}) {
    const ir::Graph graph =
        dynamic(chooser, with(range(-128, 127, "s8"), {{"eps", 1e-5}}), "per_tensor.tensor", {7, 33});
    for (unsigned seed = 0; seed < 20; ++seed)
      for (const auto& [low, high] : std::vector<std::pair<float, float>>{{-3, 5}, {0.5F, 9}, {-2, -1}, {0, 0}})
        expect_same_run(graph, {random_floats({7, 33}, seed, low, high)});
  }
}

TEST(Dynamic, GivesTheSameScalesAndIntegersPerToken) {
  for (const char* chooser : {"choose_qparams_per_token.default", "choose_qparams_per_token_asymmetric.default"}) {
    const ir::Graph graph = dynamic(chooser, {{"dtype", std::string("s8")}}, "per_token.default", {2, 7, 33});
    for (unsigned seed = 0; seed < 20; ++seed)
      for (const auto& [low, high] : std::vector<std::pair<float, float>>{{-3, 5}, {0.5F, 9}, {-2, -1}, {0, 0}})
        expect_same_run(graph, {random_floats({2, 7, 33}, seed, low, high)});
  }
}

TEST(Dynamic, LeavesNoConversionsThatNobodyReads) {
  Build to;
  const auto x = to.input("x", {7, 33});
  const Attrs choose{{"dtype", std::string("s8")}};
  const auto scale = to.add("quantized_decomposed.choose_qparams_per_token_asymmetric.default", {x}, choose, "choose");
  const auto zero = to.graph.node(to.graph.value(scale).producer).outputs[1];
  const auto q = to.add(kQuantize + "per_token.default", {x, scale, zero}, range(-128, 127, "s8"), "q");
  to.returns({to.add(kDequantize + "per_token.default", {q, scale, zero}, range(-128, 127, "s8"), "dq")});
  const auto ops = op_types(model_of(to.graph));
  EXPECT_EQ(std::ranges::count(ops, "Cast"), 2) << "to int8 and back";
}

}  // namespace
}  // namespace quoin::exporter
