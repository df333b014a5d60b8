// What makes a program legal: indices, topological order, operator rules, qparams, states, memory plan, delegates.
#pragma once

#include "base/arena.hpp"
#include "base/fault.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

// Fills the program's buffers, too, in `arena`. Originals are left out where no operators are known.
// Errors: program, program_version (unknown operator), unsupported (an operator where none are known), limit.
[[gnu::noinline]] bool verify(Program& program, Arena& arena, Fault& fault);

// The parts of it.

// `calls[d]` is the node that calls delegate d; none: the graph may not call delegates.
struct Call {
  const Graph* graph;
  const Node* node;
};
[[gnu::noinline]] bool verify_graph(const Graph& graph, std::span<Call> calls, const Allocator& memory, Fault& fault);

// Offsets of intermediates: aligned, inside the arena, no two that live at the same time overlap.
// Precondition: the rest of verify_graph holds.
bool verify_memory_plan(const Graph& graph, std::span<const bool> arena, Arena& memory, Fault& fault);

// The operator of a node: known in this version, attributes complete, results as its rules say for the longest run and
// for one less.
bool verify_operator(const Graph& graph, const Node& node, int64_t longest, Fault& fault);
// The results in a run of `length`. Precondition: verify_operator held.
bool verify_results(const Graph& graph, const Node& node, int64_t length, Fault& fault);
// verify_results of every operator in the graph: a length that passes cannot make a kernel read or write past the end
// of a value. verify() checks the two longest only, because every length would take too long.
bool verify_length(const Graph& graph, int64_t length, Fault& fault);

}  // namespace quoin::program::view
