#include "export/export.hpp"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/checked.hpp"
#include "base/file.hpp"
#include "base/guard.hpp"
#include "base/text.hpp"
#include "export/onnx_ops.hpp"

namespace quoin::exporter {
namespace {

constexpr size_t kMaxListed = 20;
constexpr uint64_t kMaxProtobuf = std::numeric_limits<int32_t>::max();
constexpr uint64_t kAlignment = 64;  // of tensors in the file of external data
constexpr uint64_t kSmallestExternal = 1024;

// The version of the file format that came with the opset.
int64_t ir_version(int64_t opset) { return opset >= kNewOpset ? 10 : 7; }

Status check_known(const ir::Graph& graph) {
  std::vector<std::string> lines;
  std::string first;
  for (const ir::NodeId id : graph.order()) {
    if (find_conversion(graph.node(id).op())) continue;
    if (lines.empty()) first = graph.node(id).op();
    lines.push_back(graph.describe(id));
  }
  if (lines.empty()) return {};
  const size_t count = lines.size();
  if (count > kMaxListed) {
    lines.resize(kMaxListed);
    lines.push_back(fmt::format("and {} more", count - kMaxListed));
  }
  return fail(Code::unsupported, "{}", "no ONNX form for " + join(lines, ", "))
      .hint(first.starts_with("quoin.") ? "export the graph before it is typed"
                                        : "leave these parts out of the model, or rewrite them");
}

Result<OnnxGraph> convert(const ir::Graph& graph, const OnnxOptions& options, int64_t opset) {
  OnnxGraph out(graph, options.outputs);
  for (const ir::NodeId id : graph.order()) {
    const auto done = find_conversion(graph.node(id).op())(Call(out, graph, id, {opset, options.unsigned_activations}));
    if (!done) return fail(in(graph.describe(id), done.error()));
  }
  QUOIN_CHECK(out.finish());
  return out;
}

// Constants in the order of their first use, the large ones one after the other in a file beside the model.
class ExternalData {
 public:
  static Result<ExternalData> create(const std::string& path) {
    QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
    return ExternalData(std::move(file), std::filesystem::path(path).filename().string());
  }
  Status add(onnx::TensorProto& proto, Bytes bytes) {
    const uint64_t offset = align_up(size_, kAlignment);
    const std::vector<std::byte> gap(offset - size_);
    QUOIN_CHECK(file_.write(gap));
    QUOIN_CHECK(file_.write(bytes));
    size_ = offset + bytes.size();
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    describe(proto, "location", location_);
    describe(proto, "offset", std::to_string(offset));
    describe(proto, "length", std::to_string(bytes.size()));
    return {};
  }
  Status commit() { return file_.commit(); }
  uint64_t size() const { return size_; }

 private:
  ExternalData(AtomicFile file, std::string location) : file_(std::move(file)), location_(std::move(location)) {}
  static void describe(onnx::TensorProto& proto, const std::string& key, const std::string& value) {
    auto& entry = *proto.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  AtomicFile file_;
  std::string location_;
  uint64_t size_ = 0;
};

Status add_initializers(OnnxGraph& graph, ExternalData* external) {
  for (const OnnxGraph::Initializer& each : graph.initializers()) {
    onnx::TensorProto& proto = *graph.proto().add_initializer();
    proto.set_name(each.name);
    proto.set_data_type(each.type);
    for (const int64_t dim : each.shape) proto.add_dims(dim);
    const Bytes bytes(static_cast<const std::byte*>(each.bytes.data()), each.bytes.bytes());
    if (external && bytes.size() >= kSmallestExternal)
      QUOIN_CHECK(external->add(proto, bytes));
    else
      proto.set_raw_data(bytes.data(), bytes.size());
  }
  return {};
}

onnx::ModelProto model_of(OnnxGraph& graph, const OnnxOptions& options, int64_t opset) {
  onnx::ModelProto model;
  model.set_ir_version(ir_version(opset));
  model.set_producer_name("quoin");
  model.set_producer_version(options.producer_version);
  model.add_opset_import()->set_version(opset);
  for (const auto& [key, value] : options.metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  model.mutable_graph()->Swap(&graph.proto());
  return model;
}

Result<OnnxModel> write(OnnxGraph& graph, const std::string& path, const OnnxOptions& options, int64_t opset) {
  uint64_t constants = 0;
  for (const auto& each : graph.initializers()) constants += each.bytes.bytes();
  std::optional<ExternalData> external;
  if (constants > options.inline_limit) {
    QUOIN_TRY(ExternalData file, ExternalData::create(path + ".data"));
    external.emplace(std::move(file));
  }
  QUOIN_CHECK(add_initializers(graph, external ? &*external : nullptr));
  const onnx::ModelProto model = model_of(graph, options, opset);
  if (const uint64_t size = model.ByteSizeLong(); size > kMaxProtobuf)
    return fail(Code::limit, "the model has {} bytes, ONNX files end at 2 GB", size);
  const std::string bytes = model.SerializeAsString();
  if (external) QUOIN_CHECK(external->commit());
  QUOIN_CHECK(write_file(path, as_bytes(bytes)));
  return OnnxModel{opset, static_cast<size_t>(model.graph().node_size()), bytes.size(),
                   external ? external->size() : 0};
}

Result<OnnxModel> write_checked(const ir::Graph& graph, const std::string& path, const OnnxOptions& options) {
  if (options.opset && *options.opset != kOldOpset && *options.opset != kNewOpset)
    return fail(Code::usage, "opset {} is not written", *options.opset)
        .hint(fmt::format("{} and {} are", kOldOpset, kNewOpset));
  QUOIN_CHECK(check_known(graph));
  const int64_t opset = options.opset.value_or(kOldOpset);
  auto lowest = convert(graph, options, opset);
  if (lowest) return write(*lowest, path, options, opset);
  if (options.opset) return std::move(lowest).failure();
  QUOIN_TRY(OnnxGraph converted, convert(graph, options, kNewOpset));
  return write(converted, path, options, kNewOpset);
}

}  // namespace

Result<OnnxModel> write_onnx(const ir::Graph& graph, const std::string& path, const OnnxOptions& options) {
  return guarded([&] { return write_checked(graph, path, options); });
}

}  // namespace quoin::exporter
