#include "ir/snapshot.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "ops/abi_view.hpp"

namespace quoin::ir {
struct Snapshot::Arrays {
  quoin_graph graph{};
  std::vector<NodeId> node_ids;
  std::vector<ValueId> value_ids;
  std::vector<quoin_value> values;
  std::vector<quoin_node> nodes;
  std::vector<uint32_t> inputs, outputs;
  std::deque<quoin_qparams> qparams;  // deques: pointers into them stay valid as they grow
  std::deque<std::vector<uint32_t>> operands;
  std::deque<std::vector<quoin_place>> users;
  std::deque<Shape> marked;  // dims of values that follow the length of a run
  Dims dims = Dims::longest;
  AbiParams params;
  std::map<ValueId, uint32_t> index_of;

  uint32_t add_value(const Graph& source, ValueId id);
  void add_node(const Graph& source, NodeId id);
  void link_users();
  void finish();
};

uint32_t Snapshot::Arrays::add_value(const Graph& source, ValueId id) {
  if (const auto found = index_of.find(id); found != index_of.end()) return found->second;
  const Value& value = source.value(id);
  quoin_value out{};
  out.name = abi_str(value.name);
  out.dtype = static_cast<quoin_dtype>(value.type.dtype);
  out.rank = static_cast<uint32_t>(value.type.shape.size());
  out.dims = value.type.shape.data();
  if (dims == Dims::marked && value.dynamic != 0) {
    Shape& shape = marked.emplace_back(value.type.shape);
    for (size_t i = 0; i < shape.size(); ++i)
      if ((value.dynamic >> i & 1) != 0) shape[i] = -1;
    out.dims_max = out.dims;
    out.dims = shape.data();
  }
  out.producer = QUOIN_NONE;
  if (value.constant) out.constant = {value.constant->data(), value.constant->bytes()};
  if (value.type.qparams) {
    qparams.push_back(quoin::view(*value.type.qparams));
    out.qparams = &qparams.back();
  }
  const uint32_t index = static_cast<uint32_t>(values.size());
  values.push_back(out);
  value_ids.push_back(id);
  index_of[id] = index;
  return index;
}

void Snapshot::Arrays::add_node(const Graph& source, NodeId id) {
  const Node& node = source.node(id);
  quoin_node out{};
  out.op = abi_str(node.op());
  out.op_version = node.schema->version;
  std::vector<uint32_t>& inputs_of = operands.emplace_back();
  for (const ValueId input : node.inputs) inputs_of.push_back(input == kNone ? QUOIN_NONE : add_value(source, input));
  std::vector<uint32_t>& outputs_of = operands.emplace_back();
  for (const ValueId output : node.outputs) {
    outputs_of.push_back(add_value(source, output));
    values[outputs_of.back()].producer = static_cast<uint32_t>(nodes.size());
  }
  out.num_inputs = static_cast<uint32_t>(inputs_of.size());
  out.num_outputs = static_cast<uint32_t>(outputs_of.size());
  out.inputs = inputs_of.data();
  out.outputs = outputs_of.data();
  out.attrs = params.list(node.attrs);
  if (!node.modules.empty()) {
    out.scope = abi_str(node.modules.back().path);
    out.scope_type = abi_str(node.modules.back().type);
  }
  out.debug_id = node.debug_id;
  nodes.push_back(out);
  node_ids.push_back(id);
}

void Snapshot::Arrays::link_users() {
  std::vector<std::vector<quoin_place>*> lists;
  for (size_t i = 0; i < values.size(); ++i) lists.push_back(&users.emplace_back());
  for (uint32_t n = 0; n < nodes.size(); ++n)
    for (uint32_t slot = 0; slot < nodes[n].num_inputs; ++slot)
      if (const uint32_t value = nodes[n].inputs[slot]; value != QUOIN_NONE) lists[value]->push_back({n, slot, 0, 0});
  for (size_t i = 0; i < values.size(); ++i) {
    values[i].num_users = static_cast<uint32_t>(lists[i]->size());
    values[i].users = lists[i]->data();
  }
}

void Snapshot::Arrays::finish() {
  link_users();
  graph.struct_size = sizeof graph;
  graph.num_inputs = static_cast<uint32_t>(inputs.size());
  graph.num_outputs = static_cast<uint32_t>(outputs.size());
  graph.values = abi_array(values);
  graph.nodes = abi_array(nodes);
  graph.inputs = inputs.data();
  graph.outputs = outputs.data();
}

Snapshot Snapshot::of(const Graph& graph, Dims dims) {
  auto arrays = std::make_unique<Arrays>();
  arrays->dims = dims;
  for (const ValueId id : graph.inputs()) arrays->inputs.push_back(arrays->add_value(graph, id));
  for (const NodeId id : graph.order()) arrays->add_node(graph, id);
  for (const ValueId id : graph.outputs()) arrays->outputs.push_back(arrays->add_value(graph, id));
  arrays->finish();
  return Snapshot(std::move(arrays));
}

Snapshot Snapshot::of(const Graph& graph, std::span<const NodeId> nodes, Dims dims) {
  auto arrays = std::make_unique<Arrays>();
  arrays->dims = dims;
  const std::set<NodeId> inside(nodes.begin(), nodes.end());
  for (const NodeId id : nodes)
    for (const ValueId input : graph.node(id).inputs) {
      if (input == kNone || graph.is_constant(input) || arrays->index_of.contains(input)) continue;
      const NodeId producer = graph.value(input).producer;
      if (producer == kNone || !inside.contains(producer)) arrays->inputs.push_back(arrays->add_value(graph, input));
    }
  for (const NodeId id : nodes) arrays->add_node(graph, id);
  for (const NodeId id : nodes)
    for (const ValueId output : graph.node(id).outputs) {
      const auto& users = graph.value(output).users;
      const bool escapes =
          std::any_of(users.begin(), users.end(), [&](const Use& use) { return !inside.contains(use.node); });
      if (escapes || graph.is_graph_output(output)) arrays->outputs.push_back(arrays->index_of.at(output));
    }
  arrays->finish();
  return Snapshot(std::move(arrays));
}

Snapshot::Snapshot(std::unique_ptr<Arrays> arrays) : arrays_(std::move(arrays)) {}
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot& Snapshot::operator=(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;

const quoin_graph* Snapshot::view() const { return &arrays_->graph; }
const std::vector<NodeId>& Snapshot::node_ids() const { return arrays_->node_ids; }
const std::vector<ValueId>& Snapshot::value_ids() const { return arrays_->value_ids; }

}  // namespace quoin::ir
