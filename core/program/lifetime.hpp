// When the bytes of intermediate values are needed: the common ground of the memory planner and of the verifier that
// checks its plans.
#pragma once

#include <functional>
#include <vector>

#include "program/model.hpp"

namespace quoin::program {

inline constexpr uint64_t kArenaAlignment = 64;  // of every offset, and of the arena's size

// How the result of a node may lie in the bytes of an operand.
enum class Sharing : uint8_t {
  none,
  view,      // the node only renames bytes: result and operand are one value
  in_place,  // an elementwise operator, which writes an element after it read that one: if nothing reads the operand
             // later
};

// Values that share one place in the arena: one intermediate, the views of it, and what is written over it.
struct Storage {
  uint64_t size = 0;             // bytes
  uint32_t first = 0, last = 0;  // positions of the nodes that write it first and read it last; both inclusive
  std::vector<uint32_t> values;  // indices, in order of definition
};

// Whether value `index` lives in the arena: the result of a node, and not an output of the graph.
std::vector<bool> in_arena(const Graph& graph);

// The rule for one operator, by types: it is elementwise, and element i of operand and result have one place. Every
// kernel of an elementwise operator can therefore write over such an operand.
bool can_overwrite(const OpSchema& schema, const TensorType& operand, const TensorType& result);

// What node and operand allow by their types, where both lie in the arena. The runtime skips a view that has the offset
// of its operand.
Sharing sharing(const Graph& graph, const Node& node, size_t slot, const std::vector<bool>& arena);

// Whether a node's result has the offset of this operand.
bool is_at_operand(const Graph& graph, const Node& node, size_t slot);
// Whether any node writes over an operand. Precondition: the memory plan is legal.
bool runs_in_place(const Graph& graph);

// In order of first definition. `joins` decides for the operands that the result of a node may share bytes with, in
// their order, until one is taken. Precondition: indices are valid and the nodes topological.
using Joins = std::function<bool(const Node&, size_t slot, Sharing)>;
std::vector<Storage> storages(const Graph& graph, const Joins& joins);

// The most bytes that are live at one node, each storage rounded up to kArenaAlignment: no arena can be smaller.
uint64_t peak_live(const std::vector<Storage>& storages);

}  // namespace quoin::program
