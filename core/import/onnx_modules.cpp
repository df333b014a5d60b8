#include "import/onnx_modules.hpp"

#include <google/protobuf/unknown_field_set.h>

#include "base/text.hpp"
#include "import/provenance.hpp"

namespace quoin::import::onnx_format {
namespace {

// NodeProto.metadata_props came with ONNX 1.16; older generated code keeps it among the unknown fields.
constexpr int kMetadataField = 9;

std::string metadata(const onnx::NodeProto& node, const std::string& key) {
  const auto& unknown = node.GetReflection()->GetUnknownFields(node);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    if (field.number() != kMetadataField || field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    onnx::StringStringEntryProto entry;
    if (entry.ParseFromString(field.length_delimited()) && entry.key() == key) return entry.value();
  }
  return {};
}

// "['', 'layer1', 'layer1.0']" -> its texts. Python writes names with quotes of the other kind inside.
std::vector<std::string> python_list(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char quote = text[at];
    if (quote != '\'' && quote != '"') continue;
    const size_t end = text.find(quote, at + 1);
    if (end == std::string::npos) break;
    out.push_back(text.substr(at + 1, end - at - 1));
    at = end;
  }
  return out;
}

// A level repeats its parent's name ("layer1.0" below "layer1") or adds to it ("conv" below "layer1.0").
std::vector<ir::ModuleFrame> from_name(const std::string& name) {
  std::vector<ir::ModuleFrame> out;
  if (!name.starts_with('/')) return out;
  std::vector<std::string> levels = split(name.substr(1), '/');
  levels.pop_back();  // the operator
  std::string own, path;
  for (const std::string& level : levels) {
    if (level.empty()) continue;
    const bool repeats = !own.empty() && level.starts_with(own + ".");
    path = repeats ? path.substr(0, path.size() - own.size()) + level : path.empty() ? level : path + "." + level;
    own = level;
    out.push_back({path, ""});
  }
  return out;
}

}  // namespace

std::vector<ir::ModuleFrame> read_modules(const onnx::NodeProto& node) {
  const auto paths = python_list(metadata(node, "pkg.torch.onnx.name_scopes"));
  if (paths.empty()) return from_name(node.name());
  const auto types = python_list(metadata(node, "pkg.torch.onnx.class_hierarchy"));
  std::vector<ir::ModuleFrame> out;
  for (size_t i = 0; i + 1 < paths.size(); ++i)  // the last level is the operator
    if (!paths[i].empty()) out.push_back({paths[i], types.size() == paths.size() ? types[i] : ""});
  return out;
}

std::string read_source(const onnx::NodeProto& node) {
  return innermost_line(metadata(node, "pkg.torch.onnx.stack_trace"));
}

std::string node_label(const onnx::NodeProto& node) {
  return node.name().empty() && node.output_size() ? node.output(0) : node.name();
}

}  // namespace quoin::import::onnx_format
