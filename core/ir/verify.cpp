#include "ir/verify.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace quoin::ir {
namespace {

Status check_qparams(const Value& value) {
  const QParams& q = *value.type.qparams;
  const Shape& shape = value.type.shape;
  const auto bad = [&](std::string what) {
    return fail(Error{Code::model, std::move(what), "value " + value.name, {}});
  };
  if (q.dtype != value.type.dtype)
    return bad(fmt::format("stored as {} but its qparams say {}", name(value.type.dtype), name(q.dtype)));
  size_t expected = 1;
  if (q.scheme == Scheme::per_channel) {
    if (q.axis < 0 || static_cast<size_t>(q.axis) >= shape.size())
      return bad(fmt::format("channel axis {} of a rank {} tensor", q.axis, shape.size()));
    expected = static_cast<size_t>(shape[static_cast<size_t>(q.axis)]);
  } else if (q.scheme == Scheme::per_group) {
    if (q.group == 0 || shape.empty()) return bad("group size 0");
    const int64_t groups = (shape.back() + q.group - 1) / q.group;
    expected = static_cast<size_t>(shape.back() == 0 ? 0 : numel(shape) / shape.back() * groups);
  }
  if (q.scheme != Scheme::per_token && q.scale.size() != expected)
    return bad(fmt::format("{} scales where {} are needed", q.scale.size(), expected));
  if (!q.zero_point.empty() && q.zero_point.size() != q.scale.size())
    return bad(fmt::format("{} zero points for {} scales", q.zero_point.size(), q.scale.size()));
  if (q.qmin >= q.qmax) return bad(fmt::format("empty integer range {}..{}", q.qmin, q.qmax));
  for (const float scale : q.scale)
    if (!std::isfinite(scale) || scale <= 0) return bad(fmt::format("scale {} is not a positive finite number", scale));
  return {};
}

Status check_value(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  const auto bad = [&](std::string what) {
    return fail(Error{Code::model, std::move(what), "value " + value.name, {}});
  };
  if (auto count = checked_numel(value.type.shape); !count)
    return fail(in("value " + value.name, std::move(count).error()));
  if (value.constant && (value.constant->dtype() != value.type.dtype || value.constant->shape() != value.type.shape))
    return bad(fmt::format("declared {}{} but holds {}{}", name(value.type.dtype), to_string(value.type.shape),
                           name(value.constant->dtype()), to_string(value.constant->shape())));
  for (const Use& use : value.users) {
    const bool consistent =
        use.node < graph.node_capacity() && graph.node(use.node).alive && graph.input(use.node, use.slot) == id;
    if (!consistent) return bad("its list of users names a node that does not read it");
  }
  return value.type.qparams ? check_qparams(value) : Status{};
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
      return fail(Code::model, "result {} is {} but the operator gives {}", i, to_string(logical(found)), to_string(types[i]));
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
    const auto& users = graph.value(input).users;
    if (std::find(users.begin(), users.end(), Use{id, slot}) == users.end())
      return fail(Code::model, "input {} is missing from the users of {}", slot, graph.value(input).name);
  }
  QUOIN_TRY(const Attrs attrs, complete_attrs(*node.schema, node.attrs));
  if (attrs != node.attrs) return fail(Code::model, "attributes are not complete");
  return check_results(graph, id);
}

}  // namespace

Status verify(const Graph& graph) {
  std::vector<bool> defined(graph.value_capacity(), false);
  std::unordered_set<std::string> names;
  for (ValueId id = 0; id < graph.value_capacity(); ++id) {
    const Value& value = graph.value(id);
    if (!value.alive) continue;
    QUOIN_CHECK(check_value(graph, id));
    if (!names.insert(value.name).second) return fail(Error{Code::model, "two values have this name", value.name, {}});
    if (value.constant) defined[id] = true;
  }
  for (const ValueId id : graph.inputs()) defined[id] = true;
  for (const NodeId id : graph.order()) {
    if (auto status = check_node(graph, id, defined); !status)
      return fail(in(graph.describe(id), std::move(status).error()));
    for (const ValueId out : graph.node(id).outputs) defined[out] = true;
  }
  for (const ValueId id : graph.outputs())
    if (id >= graph.value_capacity() || !defined[id]) return fail(Code::model, "a graph output is never computed");
  return {};
}

}  // namespace quoin::ir
