#include "program/view/lifetime.hpp"

#include <algorithm>

#include "ops/tensor.hpp"
#include "program/view/types.hpp"

namespace quoin::program::view {
namespace {

bool same_bytes(const Value& a, const Value& b) {
  return a.dtype == b.dtype && same_qparams(a.qparams, b.qparams) && bits(a.dtype) >= 8 && a.bytes == b.bytes;
}

// The last node that reads each value; without any, the one that makes it.
bool last_uses(const Graph& graph, Arena& memory, std::span<uint32_t>& last, Fault& fault) {
  if (!memory.make(graph.values.size, last, fault)) return false;
  for (uint32_t position = 0; position < graph.nodes.size; ++position)
    for (const auto* list : {&graph.nodes[position].inputs, &graph.nodes[position].outputs})
      for (const uint32_t id : *list)
        if (id != QUOIN_NONE) last[id] = position;
  return true;
}

// The storage that the result of a node joins, or none.
uint32_t joined(const Graph& graph, uint32_t position, std::span<const bool> arena, const Joins& joins,
                const Storages& so_far) {
  const Node& node = graph.nodes[position];
  for (uint32_t slot = 0; slot < node.inputs.size; ++slot) {
    const Sharing kind = sharing(graph, node, slot, arena);
    if (kind == Sharing::none) continue;
    const uint32_t storage = so_far.of[node.inputs[slot]];
    if (kind == Sharing::in_place && so_far.all[storage].last != position) continue;  // somebody reads it later
    if (joins.call(joins.self, position, slot, kind)) return storage;
  }
  return QUOIN_NONE;
}

}  // namespace

bool in_arena(const Graph& graph, Arena& memory, std::span<bool>& out, Fault& fault) {
  if (!memory.make(graph.values.size, out, fault)) return false;
  for (const Node& node : graph.nodes)
    for (const uint32_t id : node.outputs) out[id] = true;
  for (const uint32_t id : graph.outputs) out[id] = false;
  return true;
}

bool can_overwrite(const OpSchema& schema, const Dense& operand, const Dense& result) {
  return schema.traits.elementwise && schema.outputs == 1 && std::ranges::equal(operand.shape, result.shape) &&
         bits(operand.dtype) == bits(result.dtype) && bits(operand.dtype) >= 8 &&
         byte_size(operand.dtype, operand.shape) != 0;
}

Sharing sharing(const Graph& graph, const Node& node, size_t slot, std::span<const bool> arena) {
  if (!kHasOperators || node.is_call() || node.outputs.size != 1) return Sharing::none;
  const uint32_t operand = node.inputs[slot];
  if (operand == QUOIN_NONE || !arena[operand] || !arena[node.outputs[0]]) return Sharing::none;
  const OpSchema* schema = find_op(node.op);
  if (schema == nullptr) return Sharing::none;
  const Value &from = graph.values[operand], &to = graph.values[node.outputs[0]];
  if (schema->traits.view && slot == 0 && same_bytes(from, to)) return Sharing::view;
  const bool overwrites = from.dynamic == to.dynamic &&
                          can_overwrite(*schema, {from.dtype, from.shape.span()}, {to.dtype, to.shape.span()});
  return overwrites ? Sharing::in_place : Sharing::none;
}

bool runs_in_place(const Graph& graph, std::span<const bool> arena) {
  for (const Node& node : graph.nodes)
    for (size_t slot = 0; slot < node.inputs.size; ++slot)
      if (sharing(graph, node, slot, arena) == Sharing::in_place && is_at_operand(graph, node, slot)) return true;
  return false;
}

bool storages(const Graph& graph, std::span<const bool> arena, const Joins& joins, Arena& memory, Storages& out,
              Fault& fault) {
  std::span<uint32_t> last;
  if (!last_uses(graph, memory, last, fault) || !memory.make(graph.values.size, out.of, fault) ||
      !memory.make(graph.values.size, out.all, fault))
    return false;
  std::ranges::fill(out.of, QUOIN_NONE);
  size_t count = 0;
  for (uint32_t position = 0; position < graph.nodes.size; ++position)
    for (const uint32_t id : graph.nodes[position].outputs) {
      if (!arena[id]) continue;
      uint32_t& storage = out.of[id] = joined(graph, position, arena, joins, out);
      if (storage == QUOIN_NONE) {
        storage = static_cast<uint32_t>(count++);
        out.all[storage] = {graph.values[id].bytes, position, last[id], id};
      }
      out.all[storage].last = std::max(out.all[storage].last, last[id]);
    }
  out.all = out.all.first(count);
  return true;
}

}  // namespace quoin::program::view
