// The reference models: they import, their graphs verify, and the portable kernels reproduce the stored outputs.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "data/files.hpp"
#include "ir/verify.hpp"
#include "support.hpp"

namespace quoin::import::test {
namespace {

#define NEEDS_SHARED()                        \
  const std::string shared = shared_folder(); \
  if (shared.empty()) GTEST_SKIP() << "the shared folder with the reference models is not there"

struct Model {
  const char *file, *reference, *output;
  double tolerance;  // of the largest magnitude, at least 1
  size_t nodes;
  size_t samples;
};

std::ostream& operator<<(std::ostream& out, const Model& model) { return out << model.file; }

ir::Graph load(const std::string& path) {
  Diagnostics diagnostics;
  auto graph = import_model(path, {}, diagnostics);
  EXPECT_TRUE(graph.has_value()) << graph.error().text();
  if (!graph) return {};
  EXPECT_TRUE(ir::verify(*graph).has_value());
  return *std::move(graph);
}

// Sample i of a stored batch in the shape of the graph's input.
Tensor sample(const Tensor& batch, size_t i, const TensorType& type) {
  Tensor out(type.dtype, type.shape);
  std::memcpy(out.data(), static_cast<const std::byte*>(batch.data()) + i * out.bytes(), out.bytes());
  return out;
}

double difference(const Tensor& got, const Tensor& batch, size_t i) {
  const auto expected = batch.as<float>().subspan(i * static_cast<size_t>(got.size()), static_cast<size_t>(got.size()));
  double worst = 0, scale = 1;
  for (size_t k = 0; k < expected.size(); ++k) {
    worst = std::max(worst, std::abs(static_cast<double>(got.as<float>()[k]) - expected[k]));
    scale = std::max(scale, std::abs(static_cast<double>(expected[k])));
  }
  return worst / scale;
}

class ReferenceModel : public testing::TestWithParam<Model> {};

TEST_P(ReferenceModel, ReproducesTheStoredOutputs) {
  NEEDS_SHARED();
  const Model& model = GetParam();
  const ir::Graph graph = load(shared + "/models/" + model.file);
  ASSERT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(graph.order().size(), model.nodes) << ops(graph);
  auto tensors = data::read_safetensors(shared + "/models/" + model.reference);
  ASSERT_TRUE(tensors.has_value()) << tensors.error().text();
  const TensorType& type = graph.value(graph.inputs()[0]).type;
  for (size_t i = 0; i < model.samples; ++i) {
    const auto outputs = run(graph, {sample(tensors->at("input"), i, type)});
    ASSERT_EQ(outputs.size(), 1u);
    EXPECT_LE(difference(outputs[0], tensors->at(model.output), i), model.tolerance) << "sample " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, ReferenceModel,
    testing::Values(
        Model{"tiny/kws_dscnn.pt2", "tiny/kws_dscnn_reference.safetensors", "output", 1e-4, 23, 8},
        Model{"tiny/kws_dscnn.onnx", "tiny/kws_dscnn_reference.safetensors", "output", 1e-4, 23, 8},
        Model{"tiny/resnet8.pt2", "tiny/resnet8_reference.safetensors", "output", 1e-4, 25, 8},
        Model{"tiny/resnet8.onnx", "tiny/resnet8_reference.safetensors", "output", 1e-4, 25, 8},
        Model{"tiny/vww_mobilenetv1_025.pt2", "tiny/vww_mobilenetv1_025_reference.safetensors", "output", 1e-4, 63, 8},
        Model{"tiny/vww_mobilenetv1_025.onnx", "tiny/vww_mobilenetv1_025_reference.safetensors", "output", 1e-4, 63, 8},
        Model{"tiny/ad_autoencoder.pt2", "tiny/ad_autoencoder_reference.safetensors", "output", 1e-4, 19, 8},
        Model{"tiny/ad_autoencoder.onnx", "tiny/ad_autoencoder_reference.safetensors", "output", 1e-4, 19, 8},
        Model{"effnet_lite0/effnet_lite0.pt2", "effnet_lite0/reference.safetensors", "logits", 1e-3, 161, 1},
        Model{"effnet_lite0/effnet_lite0.onnx", "effnet_lite0/reference.safetensors", "logits", 1e-3, 99, 1}));

TEST(ReferenceModels, SentenceEncoderReproducesItsEmbeddings) {
  NEEDS_SHARED();
  const ir::Graph graph = load(shared + "/models/minilm_l6/minilm_l6.pt2");
  ASSERT_EQ(graph.inputs().size(), 2u);
  auto tensors = data::read_safetensors(shared + "/models/minilm_l6/eval.safetensors");
  ASSERT_TRUE(tensors.has_value()) << tensors.error().text();
  const std::vector<Tensor> inputs{sample(tensors->at("input_ids"), 0, graph.value(graph.inputs()[0]).type),
                                   sample(tensors->at("attention_mask"), 0, graph.value(graph.inputs()[1]).type)};
  const auto outputs = run(graph, inputs);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_LE(difference(outputs[0], tensors->at("embedding"), 0), 1e-4);
}

TEST(ReferenceModels, SentenceEncoderNamesItsModules) {
  NEEDS_SHARED();
  const ir::Graph graph = load(shared + "/models/minilm_l6/minilm_l6.pt2");
  const auto query = std::ranges::find_if(graph.order(), [&](ir::NodeId id) {
    return graph.node(id).module_path() == "m.encoder.layer.0.attention.self.query";
  });
  ASSERT_NE(query, graph.order().end());
  const ir::Node& node = graph.node(*query);
  EXPECT_EQ(node.op(), "aten.linear.default");
  EXPECT_EQ(node.modules.front().path, "m");
  EXPECT_EQ(node.modules.back().type, "torch.nn.modules.linear.Linear");
  EXPECT_EQ(graph.value(node.inputs[1]).name, "m.encoder.layer.0.attention.self.query.weight");
}

TEST(ReferenceModels, BothFormatsOfOneModelNameTheSameModules) {
  NEEDS_SHARED();
  const auto modules_of = [&](const char* file) {
    std::vector<std::string> out;
    const ir::Graph graph = load(shared + "/models/effnet_lite0/" + file);
    for (const ir::NodeId id : graph.order())
      if (graph.node(id).op() == "aten.hardtanh.default") out.push_back(graph.node(id).module_path());
    return out;
  };
  EXPECT_EQ(modules_of("effnet_lite0.pt2"), modules_of("effnet_lite0.onnx"));
}

TEST(ReferenceModels, QuantizedOnnxModelImportsAsQdqGraph) {
  NEEDS_SHARED();
  const std::string path = shared + "/peers/models/effnet_lite0_ort_int8_qdq.onnx";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not there";
  const ir::Graph graph = load(path);
  std::map<std::string, int> count;
  for (const ir::NodeId id : graph.order()) ++count[graph.node(id).op()];
  EXPECT_EQ(count["aten.conv2d.default"], 49);
  EXPECT_EQ(count["aten.linear.default"], 1);
  EXPECT_EQ(count["quantized_decomposed.quantize_per_tensor.default"], 61);
  EXPECT_EQ(count["quantized_decomposed.dequantize_per_tensor.default"] +
                count["quantized_decomposed.dequantize_per_channel.default"],
            161);
  auto tensors = data::read_safetensors(shared + "/models/effnet_lite0/reference.safetensors");
  ASSERT_TRUE(tensors.has_value()) << tensors.error().text();
  const auto outputs = run(graph, {sample(tensors->at("input"), 0, graph.value(graph.inputs()[0]).type)});
  ASSERT_EQ(outputs.size(), 1u);
  const auto logits = outputs[0].as<float>();
  const auto reference = tensors->at("logits").as<float>().subspan(0, logits.size());
  double dot = 0, a = 0, b = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    dot += static_cast<double>(logits[i]) * reference[i];
    a += static_cast<double>(logits[i]) * logits[i];
    b += static_cast<double>(reference[i]) * reference[i];
  }
  EXPECT_GT(dot / std::sqrt(a * b), 0.97);
}

TEST(ReferenceModels, EveryQuantizerCaseImportsAndReproducesItsFloatOutput) {
  NEEDS_SHARED();
  size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(shared + "/goldens/xnnpack_quantizer")) {
    SCOPED_TRACE(entry.path().filename().string());
    const ir::Graph graph = load((entry.path() / "model.pt2").string());
    auto tensors = data::read_safetensors((entry.path() / "tensors.safetensors").string());
    ASSERT_TRUE(tensors.has_value()) << tensors.error().text();
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < graph.inputs().size(); ++i) inputs.push_back(tensors->at("input." + std::to_string(i)));
    const auto outputs = run(graph, inputs);
    ASSERT_EQ(outputs.size(), graph.outputs().size());
    for (size_t i = 0; i < outputs.size(); ++i)
      EXPECT_LE(difference(outputs[i], tensors->at("output_float." + std::to_string(i)), 0), 1e-4);
    ++cases;
  }
  EXPECT_EQ(cases, 42u);
}

}  // namespace
}  // namespace quoin::import::test
