// The one length that may differ from run to run (view/length.hpp), for graphs that own their parts.
#pragma once

#include "program/model.hpp"

namespace quoin::program {

// The longest run of the graph, or 0 where no input follows the length. Precondition: ids of inputs are valid.
int64_t longest(const Graph& graph);

// What `value` is in a run of `length`. Precondition: 1 <= length <= longest of its graph, or nothing is dynamic.
TensorType type_at(const Value& value, int64_t length);

}  // namespace quoin::program
