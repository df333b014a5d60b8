// ONNX models: the loop over the nodes.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "import/internal.hpp"
#include "import/onnx_modules.hpp"
#include "import/onnx_ops.hpp"

namespace quoin::import {
namespace onnx_format {
namespace {

constexpr int64_t kOldestOpset = 13, kNewestOpset = 22;
constexpr int kMaxDepth = 100;  // of nested messages

Result<std::unique_ptr<onnx::ModelProto>> parse(const Source& source) {
  if (source.bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    return fail(Code::limit, "protobuf files end at 2 GB").hint("store the weights as external data");
  google::protobuf::io::ArrayInputStream stream(source.bytes.data(), static_cast<int>(source.bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetTotalBytesLimit(std::numeric_limits<int>::max());
  input.SetRecursionLimit(kMaxDepth);
  auto model = std::make_unique<onnx::ModelProto>();
  const google::protobuf::LogSilencer quiet;
  if (!model->ParseFromCodedStream(&input) || !input.ConsumedEntireMessage())
    return fail(Code::model, "neither a .pt2 archive nor a readable ONNX model (protobuf)")
        .hint("the file may be truncated; copy or export it again");
  if (!model->has_graph()) return fail(Code::model, "neither a .pt2 archive nor an ONNX model: there is no graph");
  return model;
}

Status check_opset(const onnx::ModelProto& model, const Source& source) {
  int64_t version = 0;
  for (const auto& import : model.opset_import())
    if (import.domain().empty() || import.domain() == "ai.onnx") version = import.version();
  if (version < kOldestOpset)
    return fail(Code::unsupported, "opset {}, supported are {} to {}", version, kOldestOpset, kNewestOpset)
        .hint("convert the model with onnx.version_converter or export it again");
  if (version > kNewestOpset)
    source.diagnostics.info(source.path, fmt::format("opset {} is newer than {}; operators are read by the rules of {}",
                                                     version, kNewestOpset, kNewestOpset));
  return {};
}

class Importer {
 public:
  Importer(const Source& source, onnx::GraphProto& graph)
      : source_(source), graph_(graph), reader_(source.path), dims_(source.options, source.diagnostics) {}
  Result<ir::Graph> run();

 private:
  void find_live();
  Status check_known() const;
  Status add_inputs();
  Result<Shape> input_shape(const onnx::ValueInfoProto& input);
  Status index_initializers();
  Status convert(int index);
  Result<ValueId> resolve(const std::string& value);
  bool is_four_bit(const std::string& value) const;
  Status define(const std::string& value, ValueId id);

  const Source& source_;
  onnx::GraphProto& graph_;
  TensorReader reader_;
  Dims dims_;
  Builder builder_;
  std::unordered_map<std::string, ValueId> values_;
  std::unordered_map<std::string, onnx::TensorProto*> initializers_;
  std::unordered_map<std::string, uint32_t> uses_;  // reads by live nodes and outputs
  std::vector<bool> live_;
};

void Importer::find_live() {
  live_.assign(static_cast<size_t>(graph_.node_size()), false);
  for (const auto& output : graph_.output()) ++uses_[output.name()];
  for (int i = graph_.node_size(); i-- > 0;) {
    const onnx::NodeProto& node = graph_.node(i);
    const bool live = std::ranges::any_of(
        node.output(), [&](const std::string& name) { return !name.empty() && uses_.contains(name); });
    live_[static_cast<size_t>(i)] = live;
    if (!live) continue;
    for (const std::string& input : node.input()) ++uses_[input];
  }
}

Status Importer::check_known() const {
  std::vector<Unknown> unknown;
  for (int i = 0; i < graph_.node_size(); ++i) {
    const onnx::NodeProto& node = graph_.node(i);
    if (!live_[static_cast<size_t>(i)] || find_conversion(qualified(node))) continue;
    const auto modules = read_modules(node);
    unknown.push_back({qualified(node), node_label(node), modules.empty() ? "" : modules.back().path});
  }
  if (unknown.empty()) return {};
  return fail(unknown_operators(unknown, source_.path, known_operators()));
}

Status Importer::define(const std::string& value, ValueId id) {
  if (!values_.emplace(value, id).second) return fail(Code::model, "value \"{}\" is defined twice", value);
  return {};
}

Status Importer::index_initializers() {
  if (graph_.sparse_initializer_size() > 0) return fail(Code::unsupported, "sparse initializers are not supported");
  for (int i = 0; i < graph_.initializer_size(); ++i) {
    onnx::TensorProto* tensor = graph_.mutable_initializer(i);
    if (!initializers_.emplace(tensor->name(), tensor).second)
      return fail(Code::model, "initializer \"{}\" is defined twice", tensor->name());
  }
  return {};
}

// Sizes that are not numbers are symbols: their name, or "input.axis" if they have none.
Result<Shape> Importer::input_shape(const onnx::ValueInfoProto& input) {
  Shape out;
  const auto& tensor = input.type().tensor_type();
  if (!tensor.has_shape())
    return fail(Code::unsupported, "the input has no rank")
        .hint("export the model with shapes, or run shape inference");
  for (int axis = 0; axis < tensor.shape().dim_size(); ++axis) {
    const auto& dim = tensor.shape().dim(axis);
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      out.push_back(dim.dim_value());
      continue;
    }
    const std::string symbol =
        dim.has_dim_param() && !dim.dim_param().empty() ? dim.dim_param() : fmt::format("{}.{}", input.name(), axis);
    QUOIN_TRY(out.emplace_back(),
              dims_.bind(symbol, {1, std::nullopt}, fmt::format("input {}, axis {}", input.name(), axis)));
  }
  QUOIN_CHECK(checked_numel(out));
  return out;
}

Status Importer::add_inputs() {
  for (const auto& input : graph_.input()) {
    if (initializers_.contains(input.name())) continue;  // a default value, used as a constant
    const auto add = [&]() -> Status {
      if (!input.type().has_tensor_type())
        return fail(Code::unsupported, "sequences, maps and optional inputs are not supported");
      QUOIN_TRY(const DType dtype, element_type(input.type().tensor_type().elem_type()));
      QUOIN_TRY(Shape shape, input_shape(input));
      return define(input.name(), builder_.graph.add_input(input.name(), {dtype, std::move(shape), nullptr}));
    };
    QUOIN_CHECK_AT(add(), "input {}", input.name());
  }
  dims_.report_unused(source_.path);
  return {};
}

Result<ValueId> Importer::resolve(const std::string& value) {
  if (const auto found = values_.find(value); found != values_.end()) return found->second;
  const auto initializer = initializers_.find(value);
  if (initializer == initializers_.end())
    return fail(Code::model, "value \"{}\" is read before it is computed", value)
        .hint("the nodes are not in order, or the operator that makes it has no such result here");
  auto tensor = reader_.read(*initializer->second);
  if (!tensor) return std::move(tensor).failure().at("tensor {}", value);
  const ValueId id = builder_.graph.add_constant(value, *std::move(tensor));
  QUOIN_CHECK(define(value, id));
  return id;
}

bool Importer::is_four_bit(const std::string& value) const {
  const auto found = initializers_.find(value);
  return found != initializers_.end() && onnx_format::is_four_bit(found->second->data_type());
}

Status Importer::convert(int index) {
  onnx::NodeProto& node = *graph_.mutable_node(index);
  Values inputs;
  std::vector<Reading> readings;
  for (const std::string& input : node.input()) {
    readings.push_back(input.empty() ? Reading() : Reading{uses_.at(input), is_four_bit(input)});
    QUOIN_TRY(inputs.emplace_back(), input.empty() ? Result<ValueId>(kNone) : resolve(input));
  }
  while (!inputs.empty() && inputs.back() == kNone) inputs.pop_back();
  ir::Provenance provenance{
      read_modules(node), read_source(node), static_cast<uint64_t>(index) + 1, {node_label(node)}};
  builder_.begin(node.output_size() ? node.output(0) : node.name(), std::move(provenance));
  const Call call(builder_, reader_, node, std::move(inputs), std::move(readings));
  QUOIN_TRY(auto folded, fold(call));
  Values results;
  if (folded) {
    results.push_back(builder_.graph.add_constant(builder_.name(), *std::move(folded)));
  } else {
    QUOIN_TRY(results, find_conversion(qualified(node))(call));
  }
  for (size_t i = 0; i < std::min(results.size(), call.output_count()); ++i) {
    const std::string& output = node.output(static_cast<int>(i));
    if (output.empty()) continue;
    if (initializers_.contains(output)) return fail(Code::model, "value \"{}\" is defined twice", output);
    QUOIN_CHECK(define(output, results[i]));
  }
  return {};
}

Result<ir::Graph> Importer::run() {
  if (static_cast<size_t>(graph_.node_size()) > kMaxNodes)
    return fail(Code::limit, "{} nodes, at most {} are read", graph_.node_size(), kMaxNodes);
  QUOIN_CHECK(index_initializers());
  find_live();
  QUOIN_CHECK(check_known());
  QUOIN_CHECK(add_inputs());
  for (int i = 0; i < graph_.node_size(); ++i) {
    if (!live_[static_cast<size_t>(i)]) continue;
    const onnx::NodeProto& node = graph_.node(i);
    QUOIN_CHECK_AT(convert(i), "{}", place(node_label(node), qualified(node), read_modules(node)));
  }
  Values outputs;
  for (const auto& output : graph_.output()) {
    auto id = resolve(output.name());
    if (!id) return std::move(id).failure().at("output {}", output.name());
    // A later result of a node, or one that only passes through Identity, has another name so far.
    const bool seen = std::ranges::find(outputs, *id) != outputs.end();
    if (!seen && builder_.graph.value(*id).producer != ir::kNone) builder_.graph.rename(*id, output.name());
    outputs.push_back(*id);
  }
  if (outputs.empty()) return fail(Code::model, "the graph has no output");
  builder_.graph.set_outputs(std::move(outputs));
  return std::move(builder_.graph);
}

}  // namespace
}  // namespace onnx_format

Result<ir::Graph> import_onnx(const Source& source) {
  QUOIN_TRY(const auto model, onnx_format::parse(source));
  QUOIN_CHECK(onnx_format::check_opset(*model, source));
  return onnx_format::Importer(source, *model->mutable_graph()).run();
}

}  // namespace quoin::import
