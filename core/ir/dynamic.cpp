#include "ir/dynamic.hpp"

namespace quoin::ir {
namespace {

bool follows(const Value& value, size_t dim) { return (value.dynamic >> dim & 1) != 0; }

Result<int64_t> common_length(const Graph& graph) {
  int64_t length = 0;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    for (size_t i = 0; i < value.type.shape.size(); ++i) {
      if (!follows(value, i)) continue;
      const int64_t dim = value.type.shape[i];
      if (dim < 2 || (length != 0 && dim != length))
        return fail(Code::model, "dim {} follows the length of the run, of at most {}{}", i, dim,
                    length == 0 ? "" : fmt::format("; another input says {}", length))
            .at("input {}", value.name);
      length = dim;
    }
  }
  return length;
}

void shorten_inputs(Graph& graph) {
  for (const ValueId id : graph.inputs()) {
    Value& value = graph.value(id);
    for (size_t i = 0; i < value.type.shape.size(); ++i)
      if (follows(value, i)) --value.type.shape[i];
  }
}

Status mark(const Graph& shorter, int64_t length, NodeId node, Value& value, const Value& changed) {
  value.dynamic = 0;
  for (size_t i = 0; i < value.type.shape.size(); ++i) {
    if (value.type.shape[i] == changed.type.shape[i]) continue;
    if (value.type.shape[i] != length || changed.type.shape[i] != length - 1)
      return fail(Code::model,
                  "dim {} is {} for a length of {} and {} for {}: only dims that equal the length are "
                  "supported",
                  i, value.type.shape[i], length, changed.type.shape[i], length - 1)
          .at("{}", shorter.describe(node));
    value.dynamic |= 1u << i;
  }
  return {};
}

}  // namespace

int64_t longest(const Graph& graph) { return common_length(graph).value_or(0); }

Status mark_dynamic(Graph& graph) {
  QUOIN_TRY(const int64_t length, common_length(graph));
  if (length == 0) return {};
  Graph shorter = graph;  // shares the constants' bytes
  shorten_inputs(shorter);
  QUOIN_CHECK_AT(shorter.infer(), "for a length of {} instead of {}", length - 1, length);
  for (const NodeId id : graph.order())
    for (const ValueId out : graph.node(id).outputs)
      QUOIN_CHECK(mark(shorter, length, id, graph.value(out), shorter.value(out)));
  return {};
}

}  // namespace quoin::ir
