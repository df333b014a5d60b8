#include "runtime/graph_view.hpp"

#include <list>

#include "ops/abi_view.hpp"
#include "program/length.hpp"

namespace quoin::runtime {

struct GraphView::Arrays {
  quoin_graph graph{};
  std::vector<quoin_value> values;
  std::vector<quoin_node> nodes;
  std::vector<uint32_t> node_index;  // graph node -> node here
  std::vector<std::vector<quoin_place>> users;
  struct Dynamic {
    const program::Value* value;
    Shape dims;  // in the current run
  };
  std::list<quoin_qparams> qparams;  // lists: pointers into them stay valid as they grow
  std::list<Dynamic> dynamic;
  AbiParams params;

  void add_value(const program::Value& from);
  void add_node(const program::Node& from);
};

void GraphView::Arrays::add_value(const program::Value& from) {
  quoin_value value{};
  value.name = abi_str(from.name);
  value.dtype = static_cast<quoin_dtype>(from.type.dtype);
  value.rank = static_cast<uint32_t>(from.type.shape.size());
  value.dims = from.type.shape.data();
  if (from.dynamic != 0) value.dims = dynamic.emplace_back(Dynamic{&from, from.type.shape}).dims.data();
  value.producer = QUOIN_NONE;
  if (from.constant) value.constant = {from.constant->data(), from.constant->bytes()};
  if (from.type.qparams) {
    qparams.push_back(quoin::view(*from.type.qparams));
    value.qparams = &qparams.back();
  }
  values.push_back(value);
}

void GraphView::Arrays::add_node(const program::Node& from) {
  const auto index = static_cast<uint32_t>(nodes.size());
  node_index.push_back(from.op.empty() ? QUOIN_NONE : index);
  if (from.op.empty()) return;
  quoin_node node{};
  node.op = abi_str(from.op);
  node.op_version = find_op(from.op)->version;
  node.num_inputs = static_cast<uint32_t>(from.inputs.size());
  node.num_outputs = static_cast<uint32_t>(from.outputs.size());
  node.inputs = from.inputs.data();
  node.outputs = from.outputs.data();
  node.attrs = params.list(from.attrs);
  node.scope = abi_str(from.module);
  node.debug_id = from.debug_id;
  nodes.push_back(node);
  for (const uint32_t value : from.outputs) values[value].producer = index;
  for (uint32_t slot = 0; slot < from.inputs.size(); ++slot)
    if (from.inputs[slot] != program::kNone) users[from.inputs[slot]].push_back({index, slot, 0, 0});
}

GraphView::GraphView(const program::Graph& graph) : arrays_(std::make_unique<Arrays>()) {
  Arrays& a = *arrays_;
  for (const program::Value& value : graph.values) a.add_value(value);
  a.users.resize(graph.values.size());
  for (const program::Node& node : graph.nodes) a.add_node(node);
  for (size_t i = 0; i < a.values.size(); ++i) {
    a.values[i].users = a.users[i].data();
    a.values[i].num_users = static_cast<uint32_t>(a.users[i].size());
  }
  a.graph.struct_size = sizeof a.graph;
  a.graph.num_inputs = static_cast<uint32_t>(graph.inputs.size());
  a.graph.num_outputs = static_cast<uint32_t>(graph.outputs.size());
  a.graph.values = abi_array(a.values);
  a.graph.nodes = abi_array(a.nodes);
  a.graph.inputs = graph.inputs.data();
  a.graph.outputs = graph.outputs.data();
}

void GraphView::set_length(int64_t length) {
  // In place: kernels may hold pointers to the dims.
  for (auto& [value, dims] : arrays_->dynamic) program::set_dims(*value, length, dims);
}

GraphView::GraphView(GraphView&&) noexcept = default;
GraphView::~GraphView() = default;
const quoin_graph* GraphView::graph() const { return &arrays_->graph; }
uint32_t GraphView::node(size_t graph_node) const { return arrays_->node_index[graph_node]; }
const quoin_qparams* GraphView::qparams(uint32_t value) const { return arrays_->values[value].qparams; }

}  // namespace quoin::runtime
