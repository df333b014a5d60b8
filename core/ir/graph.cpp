#include "ir/graph.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace quoin::ir {
namespace {

std::vector<const TensorType*> operand_types(const Graph& graph, const std::vector<ValueId>& inputs) {
  std::vector<const TensorType*> types;
  types.reserve(inputs.size());
  for (const ValueId id : inputs) types.push_back(id == kNone ? nullptr : &graph.value(id).type);
  return types;
}

// "aten.conv2d.default" -> "conv2d": the base of a node's default name.
std::string short_name(std::string_view op) {
  const std::vector<std::string> parts = split(op, '.');
  return parts.size() > 1 ? parts[1] : parts[0];
}

}  // namespace

Provenance provenance(const Node& node) {
  Provenance out{node.modules, node.source, node.debug_id, node.origins};
  if (out.origins.empty()) out.origins.push_back(node.name);
  return out;
}

std::string Graph::unique_name(const std::string& base) const {
  if (!names_.contains(base)) return base;
  for (size_t i = 1;; ++i)
    if (std::string candidate = fmt::format("{}_{}", base, i); !names_.contains(candidate)) return candidate;
}

ValueId Graph::add_value(const std::string& base, TensorType type) {
  Value value;
  value.name = unique_name(base.empty() ? "value" : base);
  value.type = std::move(type);
  names_.insert(value.name);
  values_.push_back(std::move(value));
  return static_cast<ValueId>(values_.size() - 1);
}

void Graph::rename(ValueId value, const std::string& base) {
  Value& renamed = values_[value];
  if (renamed.name == base) return;
  renamed.name = unique_name(base);
  names_.insert(renamed.name);
  if (renamed.producer != kNone && renamed.output_index == 0) nodes_[renamed.producer].name = renamed.name;
}

ValueId Graph::add_input(const std::string& base, TensorType type) {
  inputs_.push_back(add_value(base, std::move(type)));
  return inputs_.back();
}

ValueId Graph::add_constant(const std::string& base, Tensor tensor, std::shared_ptr<const QParams> qparams) {
  const ValueId id = add_value(base, {tensor.dtype(), tensor.shape(), std::move(qparams)});
  values_[id].constant = std::move(tensor);
  return id;
}

Result<NodeId> Graph::add_node(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, const std::string& base,
                               Provenance provenance, NodeId before) {
  const OpSchema* schema = find_op(op);
  if (schema == nullptr)
    return fail(Code::unsupported, "operator \"{}\" is not known", op)
        .at("{}", base)
        .hint(did_you_mean(op, op_names()));
  const auto located = [&](Error error) { return in(fmt::format("{} ({})", base, op), std::move(error)); };
  auto complete = complete_attrs(*schema, std::move(attrs));
  if (!complete) return fail(located(std::move(complete).error()));
  const auto operands = operand_types(*this, inputs);
  auto types = infer_types(*schema, operands, *complete);
  if (!types) return fail(located(std::move(types).error()));

  const NodeId id = static_cast<NodeId>(nodes_.size());
  Node node;
  node.schema = schema;
  node.name = unique_name(base.empty() ? short_name(op) : base);
  node.inputs = std::move(inputs);
  node.attrs = *std::move(complete);
  node.modules = std::move(provenance.modules);
  node.source = std::move(provenance.source);
  node.debug_id = provenance.debug_id;
  node.origins = std::move(provenance.origins);
  for (size_t i = 0; i < types->size(); ++i) {
    const ValueId out = add_value(i == 0 ? node.name : fmt::format("{}_out{}", node.name, i), std::move((*types)[i]));
    values_[out].producer = id;
    values_[out].output_index = static_cast<uint32_t>(i);
    node.outputs.push_back(out);
  }
  for (uint32_t slot = 0; slot < node.inputs.size(); ++slot)
    if (node.inputs[slot] != kNone) values_[node.inputs[slot]].users.push_back({id, slot});
  nodes_.push_back(std::move(node));
  const auto position = before == kNone ? order_.end() : std::find(order_.begin(), order_.end(), before);
  order_.insert(position, id);
  return id;
}

Result<NodeId> Graph::add_named_node(std::string_view op, std::vector<ValueId> inputs, Attrs attrs,
                                     const std::vector<std::string>& names, Provenance provenance) {
  if (names.empty()) return fail(Code::model, "a node without results");
  QUOIN_TRY(const NodeId id, add_node(op, std::move(inputs), std::move(attrs), names[0], std::move(provenance)));
  const std::vector<ValueId>& outputs = nodes_[id].outputs;
  if (outputs.size() != names.size())
    return fail(Code::model, "{} ({}) has {} results, found names for {}", names[0], op, outputs.size(), names.size());
  for (size_t i = 1; i < names.size(); ++i) {
    std::string& given = values_[outputs[i]].name;
    names_.erase(given);  // made up by add_node, seen by nobody
    names_.insert(given = names[i]);
  }
  return id;
}

bool Graph::is_graph_output(ValueId value) const {
  return std::find(outputs_.begin(), outputs_.end(), value) != outputs_.end();
}

NodeId Graph::single_user(ValueId value) const {
  const auto& users = values_[value].users;
  return users.size() == 1 && !is_graph_output(value) ? users[0].node : kNone;
}

void Graph::set_input(NodeId node, uint32_t slot, ValueId value) {
  ValueId& operand = nodes_[node].inputs[slot];
  if (operand != kNone) std::erase(values_[operand].users, Use{node, slot});
  operand = value;
  if (value != kNone) values_[value].users.push_back({node, slot});
}

void Graph::replace_uses(ValueId from, ValueId to, const std::function<bool(const Use&)>& which, bool graph_outputs) {
  const std::vector<Use> users = values_[from].users;  // a copy: set_input edits the list
  for (const Use& use : users)
    if (!which || which(use)) set_input(use.node, use.slot, to);
  if (graph_outputs) std::replace(outputs_.begin(), outputs_.end(), from, to);
}

void Graph::erase_node(NodeId id) {
  Node& node = nodes_[id];
  for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) set_input(id, slot, kNone);
  for (const ValueId out : node.outputs) values_[out].alive = false;
  node.alive = false;
  std::erase(order_, id);
}

size_t Graph::erase_dead() {
  size_t erased = 0;
  const std::vector<NodeId> order = order_;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const auto& outputs = nodes_[*it].outputs;
    const auto unused = [&](ValueId out) { return values_[out].users.empty() && !is_graph_output(out); };
    if (!std::all_of(outputs.begin(), outputs.end(), unused)) continue;
    erase_node(*it);
    ++erased;
  }
  for (ValueId id = 0; id < values_.size(); ++id) {
    Value& value = values_[id];
    if (!value.alive || !value.constant || !value.users.empty() || is_graph_output(id)) continue;
    value.alive = false;
    value.constant.reset();
  }
  return erased;
}

Status Graph::infer() {
  for (const NodeId id : order_) {
    const Node& node = nodes_[id];
    const auto operands = operand_types(*this, node.inputs);
    auto types = infer_types(*node.schema, operands, node.attrs);
    if (!types) return std::move(types).failure().at("{}", describe(id));
    for (size_t i = 0; i < types->size(); ++i) {
      TensorType& type = values_[node.outputs[i]].type;
      type.shape = std::move((*types)[i].shape);
      if (!type.qparams) type.dtype = (*types)[i].dtype;  // a quantized result keeps its storage type
    }
  }
  return {};
}

Graph Graph::compact() const {
  Graph out;
  out.name = name;
  out.states = states;
  std::vector<ValueId> new_value(values_.size(), kNone);
  const auto copy_value = [&](ValueId id) {
    Value value = values_[id];
    value.users.clear();
    value.producer = kNone;
    out.names_.insert(value.name);
    out.values_.push_back(std::move(value));
    return new_value[id] = static_cast<ValueId>(out.values_.size() - 1);
  };
  for (const ValueId id : inputs_) out.inputs_.push_back(copy_value(id));
  for (const NodeId id : order_) {
    const NodeId new_id = static_cast<NodeId>(out.nodes_.size());
    Node node = nodes_[id];
    for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) {
      ValueId& operand = node.inputs[slot];
      if (operand == kNone) continue;
      operand = new_value[operand] != kNone ? new_value[operand] : copy_value(operand);
      out.values_[operand].users.push_back({new_id, slot});
    }
    for (ValueId& result : node.outputs) {
      result = copy_value(result);
      out.values_[result].producer = new_id;
    }
    out.nodes_.push_back(std::move(node));
    out.order_.push_back(new_id);
  }
  for (const ValueId id : outputs_) out.outputs_.push_back(new_value[id] != kNone ? new_value[id] : copy_value(id));
  return out;
}

std::string Graph::describe(NodeId id) const {
  const Node& node = nodes_[id];
  std::string text = fmt::format("node {} ({}", node.name, node.op());
  if (const std::string path = node.module_path(); !path.empty()) text += ", module " + path;
  return text + ")";
}

}  // namespace quoin::ir
