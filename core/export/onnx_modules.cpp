#include "export/onnx_modules.hpp"

#include <google/protobuf/unknown_field_set.h>

namespace quoin::exporter {
namespace {

// NodeProto.metadata_props came with ONNX 1.16; older generated code keeps it among the unknown fields.
constexpr int kMetadataField = 9;

void add_metadata(onnx::NodeProto& node, const std::string& key, const std::string& value) {
  onnx::StringStringEntryProto entry;
  entry.set_key(key);
  entry.set_value(value);
  node.GetReflection()->MutableUnknownFields(&node)->AddLengthDelimited(kMetadataField, entry.SerializeAsString());
}

// As Python prints a list of texts: "['', 'layer1']".
class PythonList {
 public:
  void add(const std::string& text) {
    const char quote = text.find('\'') == std::string::npos ? '\'' : '"';
    text_ += text_.empty() ? "[" : ", ";
    text_ += quote + text + quote;
  }
  std::string text() const { return text_ + "]"; }

 private:
  std::string text_;
};

}  // namespace

void write_modules(onnx::NodeProto& node, const ir::Node& from) {
  if (!from.modules.empty()) {
    PythonList paths, types;
    for (const ir::ModuleFrame& frame : from.modules) {
      paths.add(frame.path);
      types.add(frame.type);
    }
    paths.add(from.name);  // the last level is the operator
    types.add(from.op());
    add_metadata(node, "pkg.torch.onnx.name_scopes", paths.text());
    add_metadata(node, "pkg.torch.onnx.class_hierarchy", types.text());
  }
  if (const size_t colon = from.source.rfind(':'); colon != std::string::npos)
    add_metadata(node, "pkg.torch.onnx.stack_trace",
                 fmt::format("File \"{}\", line {}", from.source.substr(0, colon), from.source.substr(colon + 1)));
}

}  // namespace quoin::exporter
