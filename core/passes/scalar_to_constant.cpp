#include <algorithm>
#include <array>

#include "passes/replacement.hpp"

namespace quoin::passes {
namespace {

struct Overload {
  std::string_view scalar, tensor;
};
constexpr std::array kOverloads = {
    Overload{"aten.add.Scalar", "aten.add.Tensor"},
    Overload{"aten.sub.Scalar", "aten.sub.Tensor"},
    Overload{"aten.mul.Scalar", "aten.mul.Tensor"},
    Overload{"aten.div.Scalar", "aten.div.Tensor"},
};

}  // namespace

Status scalar_to_constant(ir::Graph& graph, const NodeFilter& filter) {
  const std::vector<ir::NodeId> order = graph.order();
  for (const ir::NodeId id : order) {
    const ir::Node node = graph.node(id);  // a copy: add_node may move the nodes
    const auto* overload =
        std::find_if(kOverloads.begin(), kOverloads.end(), [&](const Overload& o) { return o.scalar == node.op(); });
    if (overload == kOverloads.end() || graph.value(node.inputs[0]).type.dtype != DType::f32) continue;
    if (!allowed(filter, graph, id)) continue;
    Replacement replacement(graph, id);
    const ir::ValueId constant = replacement.scalar(static_cast<float>(get_number(node.attrs, "other")));
    Attrs attrs = node.attrs;  // alpha of add and sub stays
    attrs.erase("other");
    QUOIN_TRY(const ir::ValueId result,
              replacement.step(overload->tensor, {node.inputs[0], constant}, std::move(attrs)));
    replacement.finish(result);
  }
  return {};
}

}  // namespace quoin::passes
