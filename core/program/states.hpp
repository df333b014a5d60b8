// What makes buffers that live between runs legal, and when one is updated where it lies.
#pragma once

#include <span>

#include "program/model.hpp"

namespace quoin::program {

// Positions in range and used once, equal static types before and after, an output that is computed or is the input
// itself, and for State::in_place that nothing reads the old content behind the update. Errors: program, limit.
Status verify_states(const Graph& graph);

// Positions of a call's operand and result that are one buffer: a state that its delegate updates in place.
struct Update {
  uint32_t input = 0, output = 0;
};
std::vector<Update> updates_of(const Graph& graph, const Node& call);

// The original of a delegate can be run on these buffers, too. Errors: program.
Status verify_updates(const Graph& original, std::span<const Update> updates);

// States of one name have one type in all methods. Errors: program.
Status verify_shared_states(const Model& model);

}  // namespace quoin::program
