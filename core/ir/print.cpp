#include "ir/print.hpp"

#include <xxhash.h>

namespace quoin::ir {
namespace {

std::string operand(const Graph& graph, ValueId id) { return id == kNone ? "none" : "%" + graph.value(id).name; }

std::string operands(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) text += (i == 0 ? "" : ", ") + operand(graph, ids[i]);
  return text;
}

std::string print_node(const Graph& graph, const Node& node) {
  std::string text;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const Value& value = graph.value(node.outputs[i]);
    text += (i == 0 ? "" : ", ") + fmt::format("%{}: {}", value.name, to_string(value.type));
  }
  text += fmt::format(" = {}({})", node.op(), operands(graph, node.inputs));
  std::string attrs;
  for (const auto& [key, attr] : node.attrs) attrs += (attrs.empty() ? "" : ", ") + key + "=" + to_string(attr);
  if (!attrs.empty()) text += " {" + attrs + "}";
  if (const std::string path = node.module_path(); !path.empty()) text += "  # " + path;
  return text;
}

}  // namespace

std::string print(const Graph& graph) {
  std::string text = fmt::format("graph {} {{\n", graph.name);
  for (const ValueId id : graph.inputs())
    text += fmt::format("  input %{}: {}\n", graph.value(id).name, to_string(graph.value(id).type));
  for (ValueId id = 0; id < graph.value_capacity(); ++id) {
    const Value& value = graph.value(id);
    if (!value.alive || !value.constant) continue;
    const uint64_t digest = XXH3_64bits(value.constant->data(), value.constant->bytes());
    text += fmt::format("  constant %{}: {} xxh3:{:016x}\n", value.name, to_string(value.type), digest);
  }
  for (const NodeId id : graph.order()) text += "  " + print_node(graph, graph.node(id)) + "\n";
  return text + "  return " + operands(graph, graph.outputs()) + "\n}\n";
}

}  // namespace quoin::ir
