// When the bytes of intermediate values are needed: the common ground of the memory planner and of the verifier that
// checks its plans.
#pragma once

#include <functional>
#include <vector>

#include "program/model.hpp"

namespace quoin::program {

inline constexpr uint64_t kArenaAlignment = 64;  // of every offset, and of the arena's size

// Values that share one place in the arena: one intermediate, and the views of it that need no copy.
struct Storage {
  uint64_t size = 0;             // bytes
  uint32_t first = 0, last = 0;  // positions of the nodes that write it first and read it last; both inclusive
  std::vector<uint32_t> values;  // indices, in order of definition
};

// Whether value `index` lives in the arena: the result of a node, and not an output of the graph.
std::vector<bool> in_arena(const Graph& graph);

// Whether `node` only renames bytes: a view whose operand and result lie in the arena with equal type and size. The
// runtime skips such a node when both have the same offset.
bool is_free_view(const Graph& graph, const Node& node, const std::vector<bool>& arena);

// In order of first definition. `shares(node)` decides for each free view whether its result joins its operand.
// Precondition: indices are valid and the nodes topological.
std::vector<Storage> storages(const Graph& graph, const std::function<bool(const Node&)>& shares);

// The most bytes that are live at one node, each storage rounded up to kArenaAlignment: no arena can be smaller.
uint64_t peak_live(const std::vector<Storage>& storages);

}  // namespace quoin::program
