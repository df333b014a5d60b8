// The model around the nodes: names, modules, metadata, opset, files.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support.hpp"

namespace quoin::exporter {
namespace {

using namespace test;

std::string content(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// conv -> relu, with a module path and a source line.
ir::Graph small_model() {
  Build to;
  to.graph.name = "small";
  const auto x = to.input("image", {1, 2, 6, 6});
  const auto w = to.constant("weight", random_floats({3, 2, 3, 3}, 1));
  const ir::Provenance where{{{"features", "Sequential"}, {"features.0", "torch.nn.Conv2d"}}, "model.py:12", 7, {}};
  const auto y = to.add("aten.conv2d.default", {x, w}, {}, "conv", where);
  return to.returns({to.add("aten.relu.default", {y}, {}, "relu")});
}

TEST(Model, SaysWhoMadeItAndHow) {
  OnnxOptions options;
  options.producer_version = "1.2";
  options.metadata = {{"quoin.recipe_digest", "xxh3:00"}, {"a", "b"}};
  const onnx::ModelProto model = model_of(small_model(), options);
  EXPECT_EQ(model.producer_name(), "quoin");
  EXPECT_EQ(model.producer_version(), "1.2");
  EXPECT_EQ(model.graph().name(), "small");
  ASSERT_EQ(model.metadata_props_size(), 2);
  EXPECT_EQ(model.metadata_props(0).key(), "a");
  EXPECT_EQ(model.metadata_props(1).value(), "xxh3:00");
}

TEST(Model, VersionsOfOpsetAndFormatBelongTogether) {
  for (const auto& [opset, format] : std::vector<std::pair<int64_t, int64_t>>{{13, 7}, {21, 10}}) {
    const onnx::ModelProto model = model_of(small_model(), at(opset));
    EXPECT_EQ(model.opset_import(0).version(), opset);
    EXPECT_EQ(model.ir_version(), format);
  }
  EXPECT_EQ(model_of(small_model()).opset_import(0).version(), 13);
}

TEST(Model, OtherOpsetsAreAUsageError) {
  const Error error = refusal(small_model(), at(17));
  EXPECT_EQ(error.code, Code::usage);
  EXPECT_NE(error.text().find("13 and 21"), std::string::npos) << error.text();
}

TEST(Model, KeepsTheNamesOfInputsNodesAndConstants) {
  const onnx::ModelProto model = model_of(small_model());
  EXPECT_EQ(model.graph().input(0).name(), "image");
  EXPECT_EQ(model.graph().node(0).name(), "conv");
  EXPECT_EQ(model.graph().node(1).output(0), "relu");
  EXPECT_EQ(model.graph().initializer(0).name(), "weight");
}

TEST(Model, KeepsModulePathsTypesAndSourceLines) {
  const ir::Graph back = round_trip(small_model());
  const ir::Node& conv = back.node(back.order()[0]);
  EXPECT_EQ(conv.modules,
            (std::vector<ir::ModuleFrame>{{"features", "Sequential"}, {"features.0", "torch.nn.Conv2d"}}));
  EXPECT_EQ(conv.source, "model.py:12");
  EXPECT_TRUE(back.node(back.order()[1]).modules.empty());
}

TEST(Model, OutputsTakeTheNamesThatAreAskedFor) {
  Build to;
  const auto x = to.input("x", {4});
  const auto first = to.add("aten.relu.default", {x}, {}, "logits");
  const auto second = to.add("aten.neg.default", {first}, {}, "neg");
  to.returns({second});
  OnnxOptions options;
  options.outputs = {"logits"};
  const onnx::ModelProto model = model_of(to.graph, options);
  EXPECT_EQ(model.graph().output(0).name(), "logits");
  EXPECT_EQ(model.graph().node(1).output(0), "logits");
  EXPECT_EQ(model.graph().node(0).output(0), "neg");
  EXPECT_EQ(model.graph().node(1).input(0), "neg");
}

TEST(Model, OutputsMayBeInputsConstantsAndTwiceTheSame) {
  Build to;
  const auto x = to.input("x", {2});
  const auto c = to.constant("c", floats({2}, {3, 4}));
  const auto y = to.add("aten.relu.default", {x}, {}, "y");
  to.returns({x, y, y, c});
  const ir::Graph back = round_trip(to.graph);
  const auto results = run(back, {floats({2}, {-1, 2})});
  ASSERT_EQ(results.size(), 4u);
  expect_near(results[0], floats({2}, {-1, 2}), 0);
  expect_near(results[1], floats({2}, {0, 2}), 0);
  expect_near(results[2], floats({2}, {0, 2}), 0);
  expect_near(results[3], floats({2}, {3, 4}), 0);
}

TEST(Model, EqualGraphsGiveEqualBytes) {
  const TempFolder folder;
  written(small_model(), folder / "a.onnx");
  written(small_model(), folder / "b.onnx");
  EXPECT_EQ(content(folder / "a.onnx"), content(folder / "b.onnx"));
}

TEST(Model, LeavesNothingBehindButTheModel) {
  const TempFolder folder;
  const OnnxModel model = written(small_model(), folder / "a.onnx");
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"a.onnx"}));
  EXPECT_EQ(model.bytes, std::filesystem::file_size(folder / "a.onnx"));
  EXPECT_EQ(model.external_bytes, 0u);
}

TEST(Model, LargeConstantsGoToAFileBesideIt) {
  Build to;
  const auto x = to.input("x", {1, 40});
  const auto w = to.constant("w", random_floats({30, 40}, 1));
  to.returns({to.add("aten.linear.default", {x, w, to.constant("b", random_floats({30}, 2))})});
  const TempFolder folder;
  OnnxOptions options;
  options.inline_limit = 1000;
  const OnnxModel model = written(to.graph, folder / "m.onnx", options);
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"m.onnx", "m.onnx.data"}));
  EXPECT_EQ(model.external_bytes, 30u * 40 * 4);
  EXPECT_LT(model.bytes, 1200u);
  const std::vector<Tensor> inputs{random_floats({1, 40}, 3)};
  expect_near(run(imported(folder / "m.onnx"), inputs)[0], run(to.graph, inputs)[0], 0);
}

TEST(Model, OperatorsWithoutAFormAreListedWithTheirModule) {
  Build to;
  const auto x = to.input("x", {1, 4});
  const auto w = to.constant("w", random_integers<int8_t>(DType::s8, {3, 4}, 1, -9, 9));
  QParams q;
  q.scale = {0.5F};
  to.graph.value(w).type.qparams = std::make_shared<const QParams>(q);
  to.returns({to.add("quoin.linear_dynamic.default", {x, w}, {}, "head", {{{"classifier", "Linear"}}, "", 1, {}})});
  const Error error = refusal(to.graph);
  EXPECT_EQ(error.code, Code::unsupported);
  for (const char* word : {"head", "quoin.linear_dynamic.default", "classifier"})
    EXPECT_NE(error.text().find(word), std::string::npos) << error.text();
}

TEST(Model, MissingFoldersAreNotFound) {
  const auto result = write_onnx(small_model(), "/nowhere/at/all/m.onnx", {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found) << result.error().text();
}

}  // namespace
}  // namespace quoin::exporter
