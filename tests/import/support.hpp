// Builders for model files and ways to run what was imported.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../temp_folder.hpp"
#include "import/import.hpp"

namespace quoin::import::test {

namespace fs = std::filesystem;

using quoin::test::TempFolder;

// Folder with the reference models, or "" if it is not there.
std::string shared_folder();

std::string to_zip(const std::vector<std::pair<std::string, std::string>>& members, bool compress = false);

// -- .pt2
using nlohmann::json;

json tensor_arg(const std::string& name);
json ints_arg(std::vector<int64_t> values);
json int_arg(int64_t value);
json float_arg(double value);
json bool_arg(bool value);
json text_arg(const std::string& value);

// A program with one float user input `x`; every call adds to it.
class Pt2 {
 public:
  explicit Pt2(std::vector<int64_t> input_shape);
  // A user input more.
  Pt2& input(const std::string& name, std::vector<json> sizes, int dtype = 7);
  // A parameter stored row-major; its graph name is "p_" + name.
  Pt2& parameter(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
  // As above with explicit strides and storage.
  Pt2& strided(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
               int64_t offset, const std::vector<float>& storage);
  // A node with one result `name`; its type is written to tensor_values.
  Pt2& node(const std::string& target, const std::string& name, std::vector<std::pair<std::string, json>> args,
            std::vector<int64_t> shape, int dtype = 7);
  // The newest node gets more results (split), or none (assertions).
  Pt2& results(const std::vector<std::pair<std::string, std::vector<int64_t>>>& outputs);
  Pt2& no_result();
  Pt2& metadata(const std::string& modules, const std::string& trace);
  Pt2& output(const std::string& name);
  json& program() { return program_; }
  json& graph() { return program_["graph_module"]["graph"]; }
  json& weights() { return weights_; }
  std::map<std::string, std::string>& payloads() { return payloads_; }
  std::vector<std::pair<std::string, std::string>> members() const;
  std::string bytes() const { return to_zip(members()); }

 private:
  json program_, weights_;
  std::map<std::string, std::string> payloads_;
};

// -- ONNX
class Onnx {
 public:
  explicit Onnx(int64_t opset = 18);
  // Negative or named dims are free.
  Onnx& input(const std::string& name, const std::vector<std::string>& dims, int type = onnx::TensorProto::FLOAT);
  Onnx& floats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
  Onnx& ints(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values);
  template <class T>
  Onnx& raw(const std::string& name, int type, const std::vector<int64_t>& shape, const std::vector<T>& values) {
    auto* tensor = model.mutable_graph()->add_initializer();
    fill(*tensor, name, type, shape);
    tensor->set_raw_data(values.data(), values.size() * sizeof(T));
    return *this;
  }
  Onnx& node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);
  // Of the newest node.
  Onnx& attr(const std::string& name, int64_t value);
  Onnx& attr(const std::string& name, double value);
  Onnx& attr(const std::string& name, const char* value);
  Onnx& attr(const std::string& name, std::vector<int64_t> values);
  Onnx& name(const std::string& name);
  Onnx& domain(const std::string& domain);
  Onnx& output(const std::string& name);
  std::string bytes() const { return model.SerializeAsString(); }
  onnx::NodeProto& last() { return *model.mutable_graph()->mutable_node(model.graph().node_size() - 1); }

  onnx::ModelProto model;

 private:
  static void fill(onnx::TensorProto& tensor, const std::string& name, int type, const std::vector<int64_t>& shape);
};

// -- importing
Result<ir::Graph> import_bytes(const std::string& bytes, const Options& options = {},
                               Diagnostics* diagnostics = nullptr);
// Imports and fails the test on an error.
ir::Graph imported(const std::string& bytes, const Options& options = {});
// The error of a file that must not import.
Error refusal(const std::string& bytes, const Options& options = {});
// "aten.pad.default aten.conv2d.default"
std::string ops(const ir::Graph& graph);
// Runs the graph with the portable kernels.
std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs);
Tensor floats(Shape shape, const std::vector<float>& values);
std::vector<float> values(const Tensor& tensor);

}  // namespace quoin::import::test
