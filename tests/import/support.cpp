#include "support.hpp"

#include <zip.h>

#include <cstdlib>
#include <fstream>

#include "host/services.hpp"
#include "interpret/interpreter.hpp"

namespace quoin::import::test {

std::string shared_folder() {
  const char* given = std::getenv("QUOIN_SHARED");
  const fs::path path = given ? fs::path(given) : fs::path(QUOIN_SOURCE_ROOT) / ".." / "shared";
  return fs::exists(path / "models") ? path.string() : "";
}

std::string to_zip(const std::vector<std::pair<std::string, std::string>>& members, bool compress) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_t* zip = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  zip_source_keep(target);
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  EXPECT_EQ(zip_close(zip), 0);
  zip_stat_t stat;
  zip_source_stat(target, &stat);
  std::string out(stat.size, '\0');
  zip_source_open(target);
  zip_source_read(target, out.data(), out.size());
  zip_source_close(target);
  zip_source_free(target);
  return out;
}

// -- .pt2
namespace {

json sizes_of(const std::vector<int64_t>& values) {
  json out = json::array();
  for (const int64_t value : values) out.push_back({{"as_int", value}});
  return out;
}

std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> out(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) out[i - 1] = out[i] * shape[i];
  return out;
}

json meta_of(const std::vector<int64_t>& shape, int dtype = 7) {
  return {{"dtype", dtype},
          {"sizes", sizes_of(shape)},
          {"strides", sizes_of(row_major(shape))},
          {"storage_offset", {{"as_int", 0}}}};
}

}  // namespace

json tensor_arg(const std::string& name) { return {{"as_tensor", {{"name", name}}}}; }
json ints_arg(std::vector<int64_t> list) { return {{"as_ints", std::move(list)}}; }
json int_arg(int64_t value) { return {{"as_int", value}}; }
json float_arg(double value) { return {{"as_float", value}}; }
json bool_arg(bool value) { return {{"as_bool", value}}; }
json text_arg(const std::string& value) { return {{"as_string", value}}; }

Pt2::Pt2(std::vector<int64_t> input_shape) {
  program_["schema_version"] = {{"major", 8}, {"minor", 20}};
  program_["range_constraints"] = json::object();
  graph() = {{"inputs", json::array()},
             {"outputs", json::array()},
             {"nodes", json::array()},
             {"tensor_values", json::object()},
             {"sym_int_values", json::object()}};
  program_["graph_module"]["signature"] = {{"input_specs", json::array()}, {"output_specs", json::array()}};
  weights_["config"] = json::object();
  const json sizes = sizes_of(input_shape);
  input("x", std::vector<json>(sizes.begin(), sizes.end()));
}

Pt2& Pt2::input(const std::string& name, std::vector<json> sizes, int dtype) {
  graph()["inputs"].push_back(tensor_arg(name));
  json meta = meta_of(std::vector<int64_t>(sizes.size(), 1), dtype);
  meta["sizes"] = std::move(sizes);
  graph()["tensor_values"][name] = std::move(meta);
  program_["graph_module"]["signature"]["input_specs"].push_back({{"user_input", {{"arg", tensor_arg(name)}}}});
  return *this;
}

Pt2& Pt2::parameter(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& list) {
  return strided(name, shape, row_major(shape), 0, list);
}

Pt2& Pt2::strided(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                  int64_t offset, const std::vector<float>& storage) {
  json meta = meta_of(shape);
  meta["strides"] = sizes_of(strides);
  meta["storage_offset"] = {{"as_int", offset}};
  const std::string member = "weight_" + std::to_string(payloads_.size());
  payloads_[member] = std::string(reinterpret_cast<const char*>(storage.data()), storage.size() * sizeof(float));
  weights_["config"][name] = {{"path_name", member}, {"is_param", true}, {"use_pickle", false}, {"tensor_meta", meta}};
  graph()["tensor_values"]["p_" + name] = meta;
  graph()["inputs"].push_back(tensor_arg("p_" + name));
  program_["graph_module"]["signature"]["input_specs"].push_back(
      {{"parameter", {{"arg", {{"name", "p_" + name}}}, {"parameter_name", name}}}});
  return *this;
}

Pt2& Pt2::node(const std::string& target, const std::string& name, std::vector<std::pair<std::string, json>> args,
               std::vector<int64_t> shape, int dtype) {
  json inputs = json::array();
  for (auto& [key, value] : args) inputs.push_back({{"name", key}, {"arg", std::move(value)}, {"kind", 1}});
  graph()["nodes"].push_back({{"target", "torch.ops." + target},
                              {"name", name},
                              {"inputs", inputs},
                              {"outputs", {tensor_arg(name)}},
                              {"metadata", json::object()}});
  graph()["tensor_values"][name] = meta_of(shape, dtype);
  return *this;
}

Pt2& Pt2::results(const std::vector<std::pair<std::string, std::vector<int64_t>>>& outputs) {
  json list = json::array();
  for (const auto& [name, shape] : outputs) {
    list.push_back({{"name", name}});
    graph()["tensor_values"][name] = meta_of(shape);
  }
  graph()["nodes"].back()["outputs"] = {{{"as_tensors", list}}};
  return *this;
}

Pt2& Pt2::no_result() {
  graph()["nodes"].back()["outputs"] = json::array();
  return *this;
}

Pt2& Pt2::metadata(const std::string& modules, const std::string& trace) {
  graph()["nodes"].back()["metadata"] = {{"nn_module_stack", modules}, {"stack_trace", trace}};
  return *this;
}

Pt2& Pt2::output(const std::string& name) {
  program_["graph_module"]["signature"]["output_specs"].push_back({{"user_output", {{"arg", tensor_arg(name)}}}});
  return *this;
}

std::vector<std::pair<std::string, std::string>> Pt2::members() const {
  std::vector<std::pair<std::string, std::string>> out{{"m/models/model.json", program_.dump()},
                                                       {"m/byteorder", "little"},
                                                       {"m/data/weights/model_weights_config.json", weights_.dump()}};
  for (const auto& [name, bytes] : payloads_) out.emplace_back("m/data/weights/" + name, bytes);
  return out;
}

// -- ONNX
Onnx::Onnx(int64_t opset) {
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  model.mutable_graph()->set_name("test");
}

Onnx& Onnx::input(const std::string& name, const std::vector<std::string>& dims, int type) {
  auto* info = model.mutable_graph()->add_input();
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (const std::string& dim : dims) {
    auto* out = tensor->mutable_shape()->add_dim();
    const bool number = !dim.empty() && dim.find_first_not_of("0123456789") == std::string::npos;
    if (number) out->set_dim_value(std::stoll(dim));
    if (!number && !dim.empty()) out->set_dim_param(dim);
  }
  return *this;
}

void Onnx::fill(onnx::TensorProto& tensor, const std::string& name, int type, const std::vector<int64_t>& shape) {
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int64_t dim : shape) tensor.add_dims(dim);
}

Onnx& Onnx::floats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& list) {
  return raw(name, onnx::TensorProto::FLOAT, shape, list);
}

Onnx& Onnx::ints(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& list) {
  auto* tensor = model.mutable_graph()->add_initializer();
  fill(*tensor, name, onnx::TensorProto::INT64, shape);
  for (const int64_t value : list) tensor->add_int64_data(value);
  return *this;
}

Onnx& Onnx::node(const std::string& op, const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs) {
  auto* node = model.mutable_graph()->add_node();
  node->set_op_type(op);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return *this;
}

Onnx& Onnx::attr(const std::string& name, int64_t value) {
  auto* attribute = last().add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
  return *this;
}

Onnx& Onnx::attr(const std::string& name, double value) {
  auto* attribute = last().add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(static_cast<float>(value));
  return *this;
}

Onnx& Onnx::attr(const std::string& name, const char* value) {
  auto* attribute = last().add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::STRING);
  attribute->set_s(value);
  return *this;
}

Onnx& Onnx::attr(const std::string& name, std::vector<int64_t> list) {
  auto* attribute = last().add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : list) attribute->add_ints(value);
  return *this;
}

Onnx& Onnx::name(const std::string& name) {
  last().set_name(name);
  return *this;
}

Onnx& Onnx::domain(const std::string& domain) {
  last().set_domain(domain);
  return *this;
}

Onnx& Onnx::output(const std::string& name) {
  model.mutable_graph()->add_output()->set_name(name);
  return *this;
}

// -- importing
Result<ir::Graph> import_bytes(const std::string& bytes, const Options& options, Diagnostics* diagnostics) {
  const TempFolder folder;
  Diagnostics own;
  return import_model(folder.write("model", bytes), options, diagnostics ? *diagnostics : own);
}

ir::Graph imported(const std::string& bytes, const Options& options) {
  auto graph = import_bytes(bytes, options);
  EXPECT_TRUE(graph.has_value()) << graph.error().text();
  return graph ? *std::move(graph) : ir::Graph();
}

Error refusal(const std::string& bytes, const Options& options) {
  auto graph = import_bytes(bytes, options);
  EXPECT_FALSE(graph.has_value());
  return graph ? Error() : graph.error();
}

std::string ops(const ir::Graph& graph) {
  std::string out;
  for (const ir::NodeId id : graph.order()) out += (out.empty() ? "" : " ") + graph.node(id).op();
  return out;
}

std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  const host::Services services(host::Services::Options{});
  const kernels::KernelSet kernels;
  auto interpreter = interpret::Interpreter::create(graph, kernels, services.table());
  EXPECT_TRUE(interpreter.has_value()) << interpreter.error().text();
  if (!interpreter) return {};
  auto outputs = interpreter->run(inputs);
  EXPECT_TRUE(outputs.has_value()) << outputs.error().text();
  return outputs ? *std::move(outputs) : std::vector<Tensor>();
}

Tensor floats(Shape shape, const std::vector<float>& list) {
  return Tensor::of<float>(DType::f32, std::move(shape), list);
}
std::vector<float> values(const Tensor& tensor) {
  const auto elements = tensor.as<float>();
  return {elements.begin(), elements.end()};
}

}  // namespace quoin::import::test
