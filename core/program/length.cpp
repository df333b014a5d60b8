#include "program/length.hpp"

#include <algorithm>

namespace quoin::program {

int64_t longest(const Graph& graph) {
  for (const uint32_t id : graph.inputs) {
    const Value& value = graph.values[id];
    for (size_t i = 0; i < std::min(value.type.shape.size(), kMaxRank); ++i)
      if ((value.dynamic >> i & 1) != 0) return value.type.shape[i];
  }
  return 0;
}

void set_dims(const Value& value, int64_t length, std::span<int64_t> dims) {
  for (size_t i = 0; i < std::min(dims.size(), kMaxRank) && value.dynamic != 0; ++i)
    if ((value.dynamic >> i & 1) != 0) dims[i] = length;
}

TensorType type_at(const Value& value, int64_t length) {
  TensorType type = value.type;
  set_dims(value, length, type.shape);
  return type;
}

bool follows_length(const Graph& graph, const Node& node) {
  const auto follows = [&](uint32_t id) { return id != kNone && graph.values[id].dynamic != 0; };
  return std::ranges::any_of(node.inputs, follows) || std::ranges::any_of(node.outputs, follows);
}

Status verify_results(const Graph& graph, const Node& node, int64_t length) {
  std::vector<TensorType> types;
  types.reserve(node.inputs.size());
  std::vector<const TensorType*> operands;
  for (const uint32_t id : node.inputs) {
    if (id != kNone) types.push_back(type_at(graph.values[id], length));
    operands.push_back(id == kNone ? nullptr : &types.back());
  }
  QUOIN_TRY(const std::vector<TensorType> inferred, infer_types(*find_op(node.op), operands, node.attrs));
  if (inferred.size() != node.outputs.size())
    return fail(Code::program, "{} results, the operator has {}", node.outputs.size(), inferred.size());
  for (size_t i = 0; i < inferred.size(); ++i) {
    const Value& value = graph.values[node.outputs[i]];
    const TensorType found = logical(type_at(value, length));
    if (found == inferred[i]) continue;
    return fail(Code::program, "output {}: value {} ({}) is {}, the operator gives {}", i, node.outputs[i], value.name,
                to_string(found), to_string(inferred[i]));
  }
  return {};
}

Status verify_length(const Graph& graph, int64_t length) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (node.op.empty() || !follows_length(graph, node)) continue;
    QUOIN_CHECK_AT(verify_results(graph, node, length), "node {} ({})", i, node.name);
  }
  return {};
}

}  // namespace quoin::program
