// Broken and malicious ONNX files end in a clear error, never in a crash.
#include "support.hpp"

namespace quoin::import::test {
namespace {

Onnx small() {
  Onnx file;
  file.input("x", {"1", "2"}).floats("w", {3, 2}, {1, 2, 3, 4, 5, 6}).ints("to", {2}, {3, 1});
  file.node("Gemm", {"x", "w"}, {"m"}).attr("transB", int64_t{1}).node("Reshape", {"m", "to"}, {"y"}).output("y");
  return file;
}

// The model beside a file of weights that it names.
Result<ir::Graph> import_external(const std::string& location, uint64_t offset, const std::string& length,
                                  void (*arrange)(const TempFolder&) = nullptr) {
  const TempFolder folder;
  fs::create_directory(folder / "model");
  folder.write("model/weights.bin", std::string(64, '\1'));
  folder.write("secret.bin", std::string(64, '\2'));
  if (arrange) arrange(folder);
  Onnx file = small();
  auto* tensor = file.model.mutable_graph()->mutable_initializer(0);
  tensor->clear_raw_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  const auto entry = [&](const std::string& key, const std::string& value) {
    auto* pair = tensor->add_external_data();
    pair->set_key(key);
    pair->set_value(value);
  };
  entry("location", location);
  entry("offset", std::to_string(offset));
  if (!length.empty()) entry("length", length);
  Diagnostics diagnostics;
  return import_model(folder.write("model/model.onnx", file.bytes()), {}, diagnostics);
}

TEST(OnnxHostile, EveryTruncationIsRefusedOrSmaller) {
  const std::string bytes = small().bytes();
  ASSERT_TRUE(import_bytes(bytes).has_value());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto graph = import_bytes(bytes.substr(0, size));
    EXPECT_FALSE(graph.has_value()) << size << " of " << bytes.size() << " bytes";
  }
}

TEST(OnnxHostile, EveryFlippedByteIsRefusedOrHarmless) {
  const std::string bytes = small().bytes();
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xFF}) {
      std::string broken = bytes;
      broken[at] = static_cast<char>(broken[at] ^ mask);
      const auto graph = import_bytes(broken);
      EXPECT_TRUE(graph || graph.error().code != Code::internal) << at << ": " << graph.error().text();
    }
  }
}

TEST(OnnxHostile, TensorsMustHoldTheirShape) {
  Onnx file = small();
  auto* tensor = file.model.mutable_graph()->mutable_initializer(0);
  tensor->set_dims(0, 4);
  EXPECT_EQ(refusal(file.bytes()).code, Code::model);
  tensor->set_dims(0, int64_t{1} << 50);
  EXPECT_EQ(refusal(file.bytes()).code, Code::limit);
  tensor->set_dims(0, -3);
  EXPECT_EQ(refusal(file.bytes()).code, Code::limit);
  tensor->set_dims(0, 3);
  tensor->set_data_type(onnx::TensorProto::STRING);
  EXPECT_EQ(refusal(file.bytes()).code, Code::unsupported);
}

TEST(OnnxHostile, NodesOutOfOrderAndRepeatedNamesAreRefused) {
  Onnx cycle;
  cycle.input("x", {"2"}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
  EXPECT_NE(refusal(cycle.bytes()).text().find("read before it is computed"), std::string::npos);
  Onnx twice;
  twice.input("x", {"2"}).node("Relu", {"x"}, {"y"}).node("Neg", {"x"}, {"y"}).output("y");
  EXPECT_NE(refusal(twice.bytes()).text().find("defined twice"), std::string::npos);
  Onnx initializer = small();
  initializer.floats("w", {1}, {1});
  EXPECT_NE(refusal(initializer.bytes()).text().find("defined twice"), std::string::npos);
}

TEST(OnnxHostile, WrongAttributesAreRefused) {
  const auto broken = [](auto change) {
    Onnx file;
    file.input("x", {"1", "1", "5", "5"}).floats("w", {1, 1, 3, 3}, std::vector<float>(9, 1));
    file.node("Conv", {"x", "w"}, {"y"}).output("y");
    change(file);
    return refusal(file.bytes()).code;
  };
  EXPECT_EQ(broken([](Onnx& f) { f.attr("pads", "text"); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("pads", std::vector<int64_t>{1, 1}); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("pads", std::vector<int64_t>{INT64_MAX, 1, 1, 1}); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("strides", std::vector<int64_t>{0, 0}); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("dilations", std::vector<int64_t>{INT64_MAX, 1}); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("group", int64_t{0}); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.attr("auto_pad", "SIDEWAYS"); }), Code::model);
  EXPECT_EQ(broken([](Onnx& f) { f.last().clear_input(); }), Code::model);
}

TEST(OnnxExternalData, IsReadFromBesideTheModel) {
  EXPECT_TRUE(import_external("weights.bin", 0, "24").has_value());
  EXPECT_TRUE(import_external("./weights.bin", 3, "").has_value()) << "any offset";
}

TEST(OnnxExternalData, MustFitTheTensorAndTheFile) {
  EXPECT_EQ(import_external("weights.bin", 0, "20").error().code, Code::model);
  EXPECT_EQ(import_external("weights.bin", 60, "24").error().code, Code::model);
  EXPECT_EQ(import_external("weights.bin", UINT64_MAX, "24").error().code, Code::model);
  EXPECT_EQ(import_external("weights.bin", 0, "-1").error().code, Code::model);
  EXPECT_EQ(import_external("missing.bin", 0, "").error().code, Code::not_found);
  EXPECT_EQ(import_external("", 0, "").error().code, Code::model);
}

TEST(OnnxExternalData, NeverLeavesTheModelsFolder) {
  for (const char* location : {"../secret.bin", "sub/../../secret.bin", "/etc/passwd"}) {
    const auto graph = import_external(location, 0, "24");
    ASSERT_FALSE(graph.has_value()) << location;
    EXPECT_EQ(graph.error().code, Code::model);
  }
  const auto linked = import_external("link.bin", 0, "24", [](const TempFolder& folder) {
    fs::create_symlink(folder / "secret.bin", folder / "model/link.bin");
  });
  ASSERT_FALSE(linked.has_value());
  EXPECT_NE(linked.error().text().find("symbolic link"), std::string::npos);
  const auto through = import_external("sub/secret.bin", 0, "24", [](const TempFolder& folder) {
    fs::create_directory_symlink(folder / ".", folder / "model/sub");
  });
  ASSERT_FALSE(through.has_value());
  EXPECT_NE(through.error().text().find("symbolic link"), std::string::npos);
}

TEST(OnnxHostile, DeepMessagesAreRefused) {
  // Attributes that hold graphs that hold nodes ...
  onnx::GraphProto graph;
  for (int i = 0; i < 200; ++i) {
    onnx::GraphProto outer;
    auto* attribute = outer.add_node()->add_attribute();
    attribute->set_name("body");
    attribute->set_type(onnx::AttributeProto::GRAPH);
    attribute->mutable_g()->Swap(&graph);
    graph.Swap(&outer);
  }
  Onnx file;
  file.model.mutable_graph()->Swap(&graph);
  EXPECT_EQ(refusal(file.bytes()).code, Code::model);
}

TEST(OnnxHostile, AModelWithoutAGraphIsNoModel) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  EXPECT_EQ(refusal(model.SerializeAsString()).code, Code::model);
}

}  // namespace
}  // namespace quoin::import::test
