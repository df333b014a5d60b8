// When the bytes of intermediate values are needed: the common ground of the memory planner and of the verifier that
// checks its plans.
#pragma once

#include "base/arena.hpp"
#include "ops/schema.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

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
  uint64_t size;         // bytes
  uint32_t first, last;  // positions of the nodes that write it first and read it last; both inclusive
  uint32_t value;        // the first one
};
struct Storages {
  std::span<Storage> all;  // in order of first definition
  std::span<uint32_t> of;  // by value: index into `all`, or none
};

// Whether each value lives in the arena: the result of a node, and not an output of the graph. Errors: limit.
bool in_arena(const Graph& graph, Arena& memory, std::span<bool>& out, Fault& fault);

// The rule for one operator, by types: it is elementwise, and element i of operand and result have one place. Every
// kernel of an elementwise operator can therefore write over such an operand.
struct Dense {
  DType dtype;
  std::span<const int64_t> shape;
};
bool can_overwrite(const OpSchema& schema, const Dense& operand, const Dense& result);

// What node and operand allow by their types, where both lie in the arena. The runtime skips a view that has the offset
// of its operand.
Sharing sharing(const Graph& graph, const Node& node, size_t slot, std::span<const bool> arena);

// Whether a node's result has the offset of this operand.
inline bool is_at_operand(const Graph& graph, const Node& node, size_t slot) {
  return graph.values[node.inputs[slot]].offset == graph.values[node.outputs[0]].offset;
}
// Whether any node writes over an operand. Precondition: the memory plan is legal.
bool runs_in_place(const Graph& graph, std::span<const bool> arena);

// Decides for the operands that the result of node `position` may share bytes with, in their order, until one is taken.
struct Joins {
  void* self;
  bool (*call)(void* self, uint32_t position, size_t slot, Sharing);
};
// Precondition: indices are valid and the nodes topological. Errors: limit.
bool storages(const Graph& graph, std::span<const bool> arena, const Joins& joins, Arena& memory, Storages& out,
              Fault& fault);

}  // namespace quoin::program::view
