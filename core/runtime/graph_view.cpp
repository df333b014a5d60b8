#include "runtime/graph_view.hpp"

#include <list>
#include <vector>

#include "ops/abi_view.hpp"
#include "program/view/length.hpp"

namespace quoin::runtime {

using program::view::Attr;
using program::view::AttrKind;
using program::view::Graph;
using program::view::Node;
using program::view::Value;

struct GraphView::Arrays {
  quoin_graph graph{};
  std::vector<quoin_value> values;
  std::vector<quoin_node> nodes;
  std::vector<uint32_t> node_index;  // graph node -> node here
  std::vector<std::vector<quoin_place>> users;
  struct Dynamic {
    const Value* value;
    Shape dims;  // in the current run
  };
  // Lists: pointers into them stay valid as they grow.
  std::list<Dynamic> dynamic;
  std::list<std::vector<quoin_param>> params;
  std::list<quoin_str> texts;
  std::list<uint8_t> flags;

  void add_value(const Value& from);
  void add_node(const Node& from);
  quoin_param param(const Attr& from);
};

void GraphView::Arrays::add_value(const Value& from) {
  quoin_value value{};
  value.name = abi_str(from.name);
  value.dtype = static_cast<quoin_dtype>(from.dtype);
  value.rank = static_cast<uint32_t>(from.shape.size);
  value.dims = from.shape.begin();
  if (from.dynamic != 0)
    value.dims = dynamic.emplace_back(Dynamic{&from, Shape(from.shape.begin(), from.shape.end())}).dims.data();
  value.producer = QUOIN_NONE;
  if (from.constant != nullptr) value.constant = {from.constant, from.bytes};
  value.qparams = from.abi_qparams();
  values.push_back(value);
}

quoin_param GraphView::Arrays::param(const Attr& from) {
  const auto made = [&](uint32_t kind, const void* data, uint64_t count = 1) {
    return quoin_param{abi_str(from.name), kind, static_cast<uint32_t>(count), data};
  };
  switch (from.kind) {
    case AttrKind::boolean:
      return made(QUOIN_PARAM_BOOL, &flags.emplace_back(from.integer != 0));
    case AttrKind::integer:
      return made(QUOIN_PARAM_INT, &from.integer);
    case AttrKind::number:
      return made(QUOIN_PARAM_FLOAT, &from.number);
    case AttrKind::text:
      return made(QUOIN_PARAM_STR, &texts.emplace_back(abi_str(from.text)));
    case AttrKind::integers:
      return made(QUOIN_PARAM_INT, from.integers.data, from.integers.size);
    case AttrKind::numbers:
      break;
  }
  return made(QUOIN_PARAM_FLOAT, from.numbers.data, from.numbers.size);
}

void GraphView::Arrays::add_node(const Node& from) {
  const auto index = static_cast<uint32_t>(nodes.size());
  node_index.push_back(from.is_call() ? QUOIN_NONE : index);
  if (from.is_call()) return;
  quoin_node node{};
  node.op = abi_str(from.op);
  node.op_version = from.op_version;
  node.num_inputs = static_cast<uint32_t>(from.inputs.size);
  node.num_outputs = static_cast<uint32_t>(from.outputs.size);
  node.inputs = from.inputs.begin();
  node.outputs = from.outputs.begin();
  std::vector<quoin_param>& attrs = params.emplace_back();
  for (const Attr& attr : from.attrs) attrs.push_back(param(attr));
  node.attrs = abi_array(attrs);
  node.scope = abi_str(from.module);
  node.debug_id = from.debug_id;
  nodes.push_back(node);
  for (const uint32_t value : from.outputs) values[value].producer = index;
  for (uint32_t slot = 0; slot < from.inputs.size; ++slot)
    if (from.inputs[slot] != QUOIN_NONE) users[from.inputs[slot]].push_back({index, slot, 0, 0});
}

GraphView::GraphView(const Graph& graph) : arrays_(std::make_unique<Arrays>()) {
  Arrays& a = *arrays_;
  for (const Value& value : graph.values) a.add_value(value);
  a.users.resize(graph.values.size);
  for (const Node& node : graph.nodes) a.add_node(node);
  for (size_t i = 0; i < a.values.size(); ++i) {
    a.values[i].users = a.users[i].data();
    a.values[i].num_users = static_cast<uint32_t>(a.users[i].size());
  }
  a.graph.struct_size = sizeof a.graph;
  a.graph.num_inputs = static_cast<uint32_t>(graph.inputs.size);
  a.graph.num_outputs = static_cast<uint32_t>(graph.outputs.size);
  a.graph.values = abi_array(a.values);
  a.graph.nodes = abi_array(a.nodes);
  a.graph.inputs = graph.inputs.begin();
  a.graph.outputs = graph.outputs.begin();
}

void GraphView::set_length(int64_t length) {
  // In place: kernels may hold pointers to the dims.
  for (auto& [value, dims] : arrays_->dynamic) program::view::set_dims(*value, length, dims.data());
}

GraphView::~GraphView() = default;
const quoin_graph* GraphView::graph() const { return &arrays_->graph; }
uint32_t GraphView::node(size_t graph_node) const { return arrays_->node_index[graph_node]; }

}  // namespace quoin::runtime
