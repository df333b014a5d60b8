// What makes buffers that live between runs legal, and when one is updated where it lies.
#pragma once

#include "base/arena.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::view {

// Positions in range and used once, equal static types before and after, an output that is computed or is the input
// itself, and for State::in_place that nothing reads the old content behind the update. Errors: program, limit.
[[gnu::noinline]] bool verify_states(const Graph& graph, const Allocator& memory, Fault& fault);

// The original of the delegate of `call` can be run on the states that the delegate updates in place. Errors: program.
bool verify_updates(const Graph& original, const Call& call, const Allocator& memory, Fault& fault);

// Numbers the states of all methods by their names: Program::buffers and State::buffer. Errors: program (states of one
// name in one method, or of several types), limit. Precondition: verify_states of every method.
[[gnu::noinline]] bool number_buffers(Program& program, Arena& arena, Fault& fault);

}  // namespace quoin::program::view
