#include "support.hpp"

#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "host/services.hpp"
#include "interpret/interpreter.hpp"

namespace quoin::exporter::test {
namespace fs = std::filesystem;

namespace {

template <class T>
T ok(Result<T> result) {
  EXPECT_TRUE(result) << result.error().text();
  if (!result) throw std::runtime_error(result.error().text());
  return *std::move(result);
}

}  // namespace

ir::ValueId Build::add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs, const std::string& name,
                       ir::Provenance provenance) {
  return graph.output(ok(graph.add_node(op, std::move(inputs), std::move(attrs), name, std::move(provenance))));
}

Tensor floats(Shape shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

Tensor random_floats(Shape shape, unsigned seed, float low, float high) {
  Tensor out(DType::f32, std::move(shape));
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  for (float& x : out.as<float>()) x = uniform(engine);
  return out;
}

OnnxOptions at(std::optional<int64_t> opset) {
  OnnxOptions options;
  options.opset = opset;
  return options;
}

OnnxModel written(const ir::Graph& graph, const std::string& path, const OnnxOptions& options) {
  return ok(write_onnx(graph, path, options));
}

ir::Graph imported(const std::string& path) {
  Diagnostics notes;
  return ok(import::import_model(path, {}, notes));
}

ir::Graph round_trip(const ir::Graph& graph, std::optional<int64_t> opset) {
  const TempFolder folder;
  written(graph, folder / "model.onnx", at(opset));
  return imported(folder / "model.onnx");
}

onnx::ModelProto model_of(const ir::Graph& graph, const OnnxOptions& options) {
  const TempFolder folder;
  written(graph, folder / "model.onnx", options);
  onnx::ModelProto model;
  std::ifstream file(folder / "model.onnx", std::ios::binary);
  EXPECT_TRUE(model.ParseFromIstream(&file));
  return model;
}

Error refusal(const ir::Graph& graph, const OnnxOptions& options) {
  const TempFolder folder;
  const auto result = write_onnx(graph, folder / "model.onnx", options);
  EXPECT_FALSE(result);
  EXPECT_TRUE(folder.files().empty());
  return result ? Error() : result.error();
}

std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  static const host::Services services({});
  const kernels::KernelSet kernels;
  auto interpreter = ok(interpret::Interpreter::create(graph, kernels, services.table()));
  return ok(interpreter.run(inputs));
}

void expect_near(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_EQ(found.dtype(), expected.dtype());
  ASSERT_EQ(found.shape(), expected.shape());
  if (expected.dtype() != DType::f32) {
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.bytes()), 0);
    return;
  }
  const auto a = found.as<float>(), b = expected.as<float>();
  double largest = 0;
  for (const float x : b)
    if (std::isfinite(x)) largest = std::max(largest, std::abs(static_cast<double>(x)));
  for (size_t i = 0; i < b.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    EXPECT_LE(std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])), tolerance * largest)
        << "element " << i << ": " << a[i] << ", expected " << b[i];
  }
}

}  // namespace quoin::exporter::test
