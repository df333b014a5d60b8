#include "ir/verify.hpp"

#include <algorithm>
#include <bit>
#include <set>
#include <unordered_set>

#include "ir/dynamic.hpp"
#include "ops/scale_layout.hpp"

namespace quoin::ir {
namespace {

Status check_qparams(const Value& value) {
  const QParams& q = *value.type.qparams;
  if (q.dtype != value.type.dtype)
    return fail(Code::model, "stored as {} but its qparams say {}", name(value.type.dtype), name(q.dtype));
  QUOIN_CHECK(check_scales(q, value.type.shape));
  return {};
}

Status check_value(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("value {}", value.name); };
  QUOIN_CHECK_AT(checked_numel(value.type.shape), "value {}", value.name);
  if (value.constant && (value.constant->dtype() != value.type.dtype || value.constant->shape() != value.type.shape))
    return bad(fmt::format("declared {}{} but holds {}{}", name(value.type.dtype), to_string(value.type.shape),
                           name(value.constant->dtype()), to_string(value.constant->shape())));
  std::vector<std::pair<NodeId, uint32_t>> users;
  for (const Use& use : value.users) {
    const bool consistent =
        use.node < graph.node_capacity() && graph.node(use.node).alive && graph.input(use.node, use.slot) == id;
    if (!consistent) return bad("its list of users names a node that does not read it");
    users.emplace_back(use.node, use.slot);
  }
  std::sort(users.begin(), users.end());
  if (std::adjacent_find(users.begin(), users.end()) != users.end())
    return bad("its list of users names an operand twice");
  if (!value.type.qparams) return {};
  QUOIN_CHECK_AT(check_qparams(value), "value {}", value.name);
  return {};
}

Status check_results(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  std::vector<const TensorType*> operands;
  for (const ValueId input : node.inputs) operands.push_back(input == kNone ? nullptr : &graph.value(input).type);
  QUOIN_TRY(const auto types, infer_types(*node.schema, operands, node.attrs));
  if (types.size() != node.outputs.size())
    return fail(Code::model, "{} results where the operator has {}", node.outputs.size(), types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    const TensorType& found = graph.value(node.outputs[i]).type;
    if (logical(found) != types[i])
      return fail(Code::model, "result {} is {} but the operator gives {}", i, to_string(logical(found)),
                  to_string(types[i]));
  }
  return {};
}

Status check_node(const Graph& graph, NodeId id, const std::vector<bool>& defined) {
  const Node& node = graph.node(id);
  if (!node.alive) return fail(Code::model, "erased but still in the order");
  for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) {
    const ValueId input = node.inputs[slot];
    if (input == kNone) continue;
    if (input >= graph.value_capacity() || !defined[input])
      return fail(Code::model, "input {} reads a value that is not computed before it", slot);
  }
  if (node.outputs.empty() || graph.value(node.outputs[0]).name != node.name)
    return fail(Code::model, "its first result has another name");
  QUOIN_TRY(const Attrs attrs, complete_attrs(*node.schema, node.attrs));
  if (!identical(attrs, node.attrs)) return fail(Code::model, "attributes are not complete");
  return check_results(graph, id);
}

// Every list of users holds operands only and none twice (check_value); as many as there are operands: it holds all.
Status check_users(const Graph& graph) {
  std::vector<size_t> reads(graph.value_capacity(), 0);
  for (const NodeId id : graph.order())
    for (const ValueId input : graph.node(id).inputs)
      if (input != kNone) ++reads[input];
  for (ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.value(id).alive && reads[id] != graph.value(id).users.size())
      return fail(Code::model, "a node that reads it is missing from its list of users")
          .at("value {}", graph.value(id).name);
  return {};
}

// What follows the length of a run is what inference says follows it.
Status check_dynamic(const Graph& graph) {
  const auto follows = [](const Value& value) { return value.alive && value.dynamic != 0; };
  bool any = false;
  for (ValueId id = 0; id < graph.value_capacity(); ++id) any |= follows(graph.value(id));
  if (!any) return {};
  Graph marked = graph;  // shares the constants' bytes
  for (ValueId id = 0; id < marked.value_capacity(); ++id)
    if (marked.value(id).producer != kNone || marked.value(id).constant) marked.value(id).dynamic = 0;
  QUOIN_CHECK(mark_dynamic(marked));
  for (ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.value(id).alive && graph.value(id).dynamic != marked.value(id).dynamic)
      return fail(Code::model, "dims {:#b} are said to follow the length of the run, {:#b} do", graph.value(id).dynamic,
                  marked.value(id).dynamic)
          .at("value {}", graph.value(id).name);
  return {};
}

Status check_states(const Graph& graph) {
  std::set<std::string_view> names;
  std::set<uint32_t> inputs, outputs;
  for (const State& state : graph.states) {
    const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("state {}", state.name); };
    if (!names.insert(state.name).second) return bad("two states have this name");
    if (!inputs.insert(state.input).second || !outputs.insert(state.output).second)
      return bad("another state has its input or output");
    if (state.input >= graph.inputs().size() || state.output >= graph.outputs().size())
      return bad("it is no input and output of the graph");
    const Value &before = graph.value(graph.inputs()[state.input]), &after = graph.value(graph.outputs()[state.output]);
    if (before.type != after.type)
      return bad(fmt::format("{} before a run, {} after it", to_string(before.type), to_string(after.type)));
    if (before.dynamic != 0 || after.dynamic != 0) return bad("its size follows the length of the run");
  }
  return {};
}

bool identical(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

bool identical(const Attr& a, const Attr& b) {
  if (const auto* x = std::get_if<double>(&a), *y = std::get_if<double>(&b); x != nullptr && y != nullptr)
    return identical(*x, *y);
  const auto *x = std::get_if<std::vector<double>>(&a), *y = std::get_if<std::vector<double>>(&b);
  if (x == nullptr || y == nullptr) return a == b;
  return std::equal(x->begin(), x->end(), y->begin(), y->end(), [](double p, double q) { return identical(p, q); });
}

}  // namespace

bool identical(const Attrs& a, const Attrs& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && identical(x.second, y.second); });
}

Status verify(const Graph& graph) {
  std::vector<bool> defined(graph.value_capacity(), false);
  std::unordered_set<std::string> names;
  for (ValueId id = 0; id < graph.value_capacity(); ++id) {
    const Value& value = graph.value(id);
    if (!value.alive) continue;
    QUOIN_CHECK(check_value(graph, id));
    if (!names.insert(value.name).second) return fail(Code::model, "two values have this name").at("{}", value.name);
    if (value.constant) defined[id] = true;
  }
  for (const ValueId id : graph.inputs()) defined[id] = true;
  for (const NodeId id : graph.order()) {
    QUOIN_CHECK_AT(check_node(graph, id, defined), "{}", graph.describe(id));
    for (const ValueId out : graph.node(id).outputs) defined[out] = true;
  }
  QUOIN_CHECK(check_users(graph));
  for (const ValueId id : graph.outputs())
    if (id >= graph.value_capacity() || !defined[id]) return fail(Code::model, "a graph output is never computed");
  QUOIN_CHECK(check_dynamic(graph));
  return check_states(graph);
}

}  // namespace quoin::ir
