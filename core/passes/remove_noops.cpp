#include <algorithm>
#include <array>

#include "passes/passes.hpp"

namespace quoin::passes {
namespace {

// Operators that hand their first operand through at inference, always.
constexpr std::array<std::string_view, 3> kIdentities = {"aten.dropout.default", "aten.contiguous.default",
                                                         "aten.clone.default"};
// Operators that do nothing when result and operand have one type.
constexpr std::array<std::string_view, 6> kIdentitiesWhenTypesAgree = {
    "aten.to.dtype",           "aten.view.default",   "aten.reshape.default",
    "aten.flatten.using_ints", "aten.expand.default", "aten.expand_as.default"};

template <size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_noop(const ir::Graph& graph, const ir::Node& node) {
  if (among(kIdentities, node.op())) return true;
  return among(kIdentitiesWhenTypesAgree, node.op()) &&
         graph.value(node.inputs[0]).type == graph.value(node.outputs[0]).type;
}

}  // namespace

Status remove_noops(ir::Graph& graph, const NodeFilter& filter) {
  const std::vector<ir::NodeId> order = graph.order();
  for (const ir::NodeId id : order) {
    const ir::Node& node = graph.node(id);
    if (!is_noop(graph, node) || !allowed(filter, graph, id)) continue;
    graph.replace_uses(node.outputs[0], node.inputs[0]);
    graph.erase_node(id);
  }
  return {};
}

}  // namespace quoin::passes
