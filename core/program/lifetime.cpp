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

bool is_free_view(const Graph& graph, const Node& node, const std::vector<bool>& arena) {
  if (node.inputs.empty() || node.outputs.size() != 1 || node.inputs[0] == kNone) return false;
  if (!arena[node.inputs[0]] || !arena[node.outputs[0]]) return false;
  const OpSchema* schema = node.op.empty() ? nullptr : find_op(node.op);
  if (schema == nullptr || !schema->traits.view) return false;
  const TensorType& from = graph.values[node.inputs[0]].type;
  const TensorType& to = graph.values[node.outputs[0]].type;
  const bool same_qparams = from.qparams == to.qparams || (from.qparams && to.qparams && *from.qparams == *to.qparams);
  return from.dtype == to.dtype && same_qparams && bits(from.dtype) >= 8 &&
         byte_size(from.dtype, from.shape) == byte_size(to.dtype, to.shape);
}

std::vector<Storage> storages(const Graph& graph, const std::function<bool(const Node&)>& shares) {
  const std::vector<bool> arena = in_arena(graph);
  std::vector<Storage> out;
  std::vector<uint32_t> storage_of(graph.values.size(), kNone);
  for (uint32_t position = 0; position < graph.nodes.size(); ++position) {
    const Node& node = graph.nodes[position];
    for (const uint32_t id : node.inputs)
      if (id != kNone && storage_of[id] != kNone) out[storage_of[id]].last = position;
    const bool joins = is_free_view(graph, node, arena) && shares(node);
    for (const uint32_t id : node.outputs) {
      if (!arena[id]) continue;
      if (joins) {
        storage_of[id] = storage_of[node.inputs[0]];
        out[storage_of[id]].values.push_back(id);
        continue;
      }
      const TensorType& type = graph.values[id].type;
      storage_of[id] = static_cast<uint32_t>(out.size());
      out.push_back({static_cast<uint64_t>(byte_size(type.dtype, type.shape)), position, position, {id}});
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
