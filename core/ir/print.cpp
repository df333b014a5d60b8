#include "ir/print.hpp"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "ir/literal.hpp"

namespace quoin::ir {
namespace {

constexpr int64_t kReadableElements = 16;  // constants up to this size are lists of numbers

std::string operand(const Graph& graph, ValueId id) {
  return id == kNone ? "none" : "%" + name_text(graph.value(id).name);
}

std::string operands(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) text += (i == 0 ? "" : ", ") + operand(graph, ids[i]);
  return text;
}

// One number as it is, any other count in brackets.
template <class T>
std::string numbers(const std::vector<T>& items) {
  return items.size() == 1 ? fmt::format("{}", items[0]) : fmt::format("[{}]", fmt::join(items, ", "));
}

std::string_view scheme_prefix(Scheme scheme) {
  switch (scheme) {
    case Scheme::per_tensor:
      return "";
    case Scheme::per_channel:
      return "per_channel, ";
    case Scheme::per_group:
      return "per_group, ";
    case Scheme::per_token:
      return "per_token, ";
    case Scheme::per_block:
      return "per_block, ";
  }
  return "";
}

// "[..512, 64]": the first dim follows the length of the run, which is at most 512.
std::string dims_text(const Value& value) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < value.type.shape.size(); ++i)
    dims.push_back(fmt::format("{}{}", (value.dynamic >> i & 1) != 0 ? ".." : "", value.type.shape[i]));
  return "[" + join(dims, ", ") + "]";
}

std::string qparams_text(const QParams& q) {
  std::string text(scheme_prefix(q.scheme));
  if (q.axis != -1) text += fmt::format("axis {}, ", q.axis);
  if (q.group != 0) text += fmt::format("group {}, ", q.group);
  if (!q.block.empty()) text += fmt::format("block [{}], ", fmt::join(q.block, ", "));
  text += fmt::format("range {}..{}, scale {}", q.qmin, q.qmax, numbers(q.scale));
  if (!q.zero_point.empty()) text += ", zero_point " + numbers(q.zero_point);
  return "(" + text + ")";
}

std::string type_text(const Value& value, Detail detail) {
  const TensorType& type = value.type;
  const std::string element(name(type.dtype));
  if (detail != Detail::brief && type.qparams) return element + dims_text(value) + qparams_text(*type.qparams);
  std::string text = to_string(type);
  return text.replace(element.size(), to_string(type.shape).size(), dims_text(value));
}

template <class T>
std::string list_of(const Tensor& tensor) {
  std::string text;
  for (const T element : tensor.as<T>()) text += fmt::format("{}{}", text.empty() ? "" : ", ", element);
  return "[" + text + "]";
}

// "" where a list of decimal numbers would not be exact or is not supported.
std::string readable(const Tensor& tensor) {
  if (tensor.size() > kReadableElements) return "";
  switch (tensor.dtype()) {
    case DType::f32: {
      const auto elements = tensor.as<float>();
      const bool finite = std::all_of(elements.begin(), elements.end(), [](float x) { return std::isfinite(x); });
      return finite ? list_of<float>(tensor) : "";
    }
    case DType::s8:
      return list_of<int8_t>(tensor);
    case DType::u8:
      return list_of<uint8_t>(tensor);
    case DType::s32:
      return list_of<int32_t>(tensor);
    case DType::s64:
      return list_of<int64_t>(tensor);
    default:
      return "";
  }
}

std::string content(const Tensor& tensor, Detail detail) {
  if (detail != Detail::complete) return fmt::format("xxh3:{:016x}", XXH3_64bits(tensor.data(), tensor.bytes()));
  if (std::string list = readable(tensor); !list.empty()) return list;
  return fmt::format("base64 \"{}\"", base64({static_cast<const std::byte*>(tensor.data()), tensor.bytes()}));
}

std::string provenance_text(const Node& node) {
  std::vector<std::string> clauses, frames, origins;
  for (const ModuleFrame& frame : node.modules) frames.push_back(quoted(frame.path) + ": " + quoted(frame.type));
  for (const std::string& origin : node.origins) origins.push_back(quoted(origin));
  if (!frames.empty()) clauses.push_back("modules [" + join(frames, ", ") + "]");
  if (!node.source.empty()) clauses.push_back("source " + quoted(node.source));
  if (node.debug_id != 0) clauses.push_back(fmt::format("id {}", node.debug_id));
  if (!origins.empty()) clauses.push_back("origins [" + join(origins, ", ") + "]");
  return clauses.empty() ? "" : "\n    " + join(clauses, " ");
}

std::string node_text(const Graph& graph, const Node& node, Detail detail) {
  std::string text;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    text +=
        (i == 0 ? "" : ", ") + operand(graph, node.outputs[i]) + ": " + type_text(graph.value(node.outputs[i]), detail);
  text += fmt::format(" = {}({})", node.op(), operands(graph, node.inputs));
  std::string attrs;
  for (const auto& [key, attr] : node.attrs)
    attrs += (attrs.empty() ? "" : ", ") + name_text(key) + "=" + attr_text(attr);
  if (!attrs.empty()) text += " {" + attrs + "}";
  if (detail != Detail::brief) return text + provenance_text(node);
  if (const std::string path = node.module_path(); !path.empty()) text += "  # " + name_text(path);
  return text;
}

}  // namespace

std::string print(const Graph& graph, Detail detail) {
  std::string text = fmt::format("graph {} {{\n", name_text(graph.name));
  for (const ValueId id : graph.inputs())
    text += fmt::format("  input {}: {}\n", operand(graph, id), type_text(graph.value(id), detail));
  for (ValueId id = 0; id < graph.value_capacity(); ++id) {
    const Value& value = graph.value(id);
    if (!value.alive || !value.constant) continue;
    text += fmt::format("  constant {}: {} {}\n", operand(graph, id), type_text(value, detail),
                        content(*value.constant, detail));
  }
  for (const NodeId id : graph.order()) text += "  " + node_text(graph, graph.node(id), detail) + "\n";
  text += "  return " + operands(graph, graph.outputs()) + "\n";
  for (const State& state : graph.states)
    text += fmt::format("  state {} input {} output {}\n", name_text(state.name), state.input, state.output);
  return text + "}\n";
}

}  // namespace quoin::ir
