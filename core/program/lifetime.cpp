#include "program/lifetime.hpp"

#include <algorithm>
#include <map>

#include "base/checked.hpp"

namespace quoin::program {

std::vector<bool> in_arena(const Graph& graph) {
  std::vector<bool> arena(graph.values.size(), false);
  for (const Node& node : graph.nodes)
    for (const uint32_t id : node.outputs) arena[id] = true;
  for (const uint32_t id : graph.outputs) arena[id] = false;
  return arena;
}

namespace {

bool same_bytes(const TensorType& a, const TensorType& b) {
  const bool same_qparams = a.qparams == b.qparams || (a.qparams && b.qparams && *a.qparams == *b.qparams);
  return a.dtype == b.dtype && same_qparams && bits(a.dtype) >= 8 &&
         byte_size(a.dtype, a.shape) == byte_size(b.dtype, b.shape);
}

// The last node that reads each value; without any, the one that makes it.
std::vector<uint32_t> last_uses(const Graph& graph) {
  std::vector<uint32_t> last(graph.values.size(), 0);
  for (uint32_t position = 0; position < graph.nodes.size(); ++position)
    for (const auto* list : {&graph.nodes[position].inputs, &graph.nodes[position].outputs})
      for (const uint32_t id : *list)
        if (id != kNone) last[id] = position;
  return last;
}

}  // namespace

bool can_overwrite(const OpSchema& schema, const TensorType& operand, const TensorType& result) {
  return schema.traits.elementwise && schema.outputs == 1 && operand.shape == result.shape &&
         bits(operand.dtype) == bits(result.dtype) && bits(operand.dtype) >= 8 &&
         byte_size(operand.dtype, operand.shape) != 0;
}

Sharing sharing(const Graph& graph, const Node& node, size_t slot, const std::vector<bool>& arena) {
  const uint32_t operand = node.inputs[slot];
  if (node.outputs.size() != 1 || operand == kNone || !arena[operand] || !arena[node.outputs[0]]) return Sharing::none;
  const OpSchema* schema = node.op.empty() ? nullptr : find_op(node.op);
  if (schema == nullptr) return Sharing::none;
  const Value &from = graph.values[operand], &to = graph.values[node.outputs[0]];
  if (schema->traits.view && slot == 0 && same_bytes(from.type, to.type)) return Sharing::view;
  return from.dynamic == to.dynamic && can_overwrite(*schema, from.type, to.type) ? Sharing::in_place : Sharing::none;
}

bool is_at_operand(const Graph& graph, const Node& node, size_t slot) {
  return graph.values[node.inputs[slot]].offset == graph.values[node.outputs[0]].offset;
}

bool runs_in_place(const Graph& graph) {
  const std::vector<bool> arena = in_arena(graph);
  for (const Node& node : graph.nodes)
    for (size_t slot = 0; slot < node.inputs.size(); ++slot)
      if (sharing(graph, node, slot, arena) == Sharing::in_place && is_at_operand(graph, node, slot)) return true;
  return false;
}

std::vector<Storage> storages(const Graph& graph, const Joins& joins) {
  const std::vector<bool> arena = in_arena(graph);
  const std::vector<uint32_t> last = last_uses(graph);
  std::vector<Storage> out;
  std::vector<uint32_t> storage_of(graph.values.size(), kNone);
  // The storage that a result joins, or kNone.
  const auto joined = [&](const Node& node, uint32_t position) {
    for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
      const Sharing kind = sharing(graph, node, slot, arena);
      if (kind == Sharing::none) continue;
      const uint32_t storage = storage_of[node.inputs[slot]];
      if (kind == Sharing::in_place && out[storage].last != position) continue;  // somebody reads it later
      if (joins(node, slot, kind)) return storage;
    }
    return kNone;
  };
  for (uint32_t position = 0; position < graph.nodes.size(); ++position) {
    const Node& node = graph.nodes[position];
    for (const uint32_t id : node.outputs) {
      if (!arena[id]) continue;
      storage_of[id] = joined(node, position);
      if (storage_of[id] == kNone) {
        const TensorType& type = graph.values[id].type;
        storage_of[id] = static_cast<uint32_t>(out.size());
        out.push_back({static_cast<uint64_t>(byte_size(type.dtype, type.shape)), position, last[id], {id}});
        continue;
      }
      Storage& shared = out[storage_of[id]];
      shared.last = std::max(shared.last, last[id]);
      shared.values.push_back(id);
    }
  }
  return out;
}

uint64_t peak_live(const std::vector<Storage>& storages) {
  std::map<uint32_t, std::pair<uint64_t, uint64_t>> at;  // position -> bytes that begin there, bytes that ended before
  for (const Storage& storage : storages) {
    const uint64_t size = align_up(storage.size, kArenaAlignment);
    at[storage.first].first += size;
    at[storage.last + 1].second += size;
  }
  uint64_t live = 0, most = 0;
  for (const auto& [position, change] : at) {
    live += change.first - change.second;
    most = std::max(most, live);
  }
  return most;
}

}  // namespace quoin::program
