#include "passes/replacement.hpp"

namespace quoin::passes {
namespace {

using ir::NodeId, ir::ValueId;

bool is_f32(const ir::Graph& graph, ValueId id) {
  const TensorType& type = graph.value(id).type;
  return type.dtype == DType::f32 && !type.qparams;
}

bool is_product(const ir::Graph& graph, const ir::Node& node) {
  if (node.op() != "aten.mm.default" && node.op() != "aten.matmul.default") return false;
  const TensorType& x = graph.value(node.inputs[0]).type;
  const ir::Value& w = graph.value(node.inputs[1]);
  return x.shape.size() >= 2 && w.constant && w.type.shape.size() == 2 && is_f32(graph, node.inputs[0]) &&
         is_f32(graph, node.inputs[1]);
}

Tensor transposed(const Tensor& from) {
  const auto rows = static_cast<size_t>(from.shape()[0]), columns = static_cast<size_t>(from.shape()[1]);
  Tensor out(DType::f32, {from.shape()[1], from.shape()[0]});
  const auto source = from.as<float>();
  const auto target = out.as<float>();
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) target[c * rows + r] = source[r * columns + c];
  return out;
}

// The sum that turns the product into a linear with bias, and the bias; kNone, kNone: there is none.
std::pair<NodeId, ValueId> bias_of(const ir::Graph& graph, ValueId product, const NodeFilter& filter) {
  const std::pair<NodeId, ValueId> none{ir::kNone, ir::kNone};
  const NodeId user = graph.single_user(product);
  if (user == ir::kNone || !allowed(filter, graph, user)) return none;
  const ir::Node& sum = graph.node(user);
  if (sum.op() != "aten.add.Tensor" || get_number(sum.attrs, "alpha") != 1) return none;
  const ValueId other = sum.inputs[0] == product ? sum.inputs[1] : sum.inputs[0];
  const Shape features{graph.value(product).type.shape.back()};
  if (!graph.is_constant(other) || !is_f32(graph, other) || graph.value(other).type.shape != features) return none;
  return {user, other};
}

Status to_linear(ir::Graph& graph, NodeId id, const NodeFilter& filter) {
  const ir::Node node = graph.node(id);  // a copy: new nodes move the old ones
  const auto found = bias_of(graph, node.outputs[0], filter);
  const NodeId sum = found.first;
  Replacement replacement(graph, id);
  const ValueId weight = replacement.constant(transposed(*graph.value(node.inputs[1]).constant));
  QUOIN_TRY(const ValueId result, replacement.step("aten.linear.default", {node.inputs[0], weight, found.second}));
  replacement.finish(result);
  if (sum == ir::kNone) return {};
  graph.node(graph.value(result).producer).origins.push_back(graph.node(sum).name);
  graph.replace_uses(graph.output(sum), result, [&](const ir::Use& use) { return use.node != sum; });
  graph.erase_node(sum);
  return {};
}

}  // namespace

Status matmul_to_linear(ir::Graph& graph, const NodeFilter& filter) {
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order)
    if (graph.node(id).alive && is_product(graph, graph.node(id)) && allowed(filter, graph, id))
      QUOIN_CHECK(to_linear(graph, id, filter));
  graph.erase_dead();
  return {};
}

}  // namespace quoin::passes
