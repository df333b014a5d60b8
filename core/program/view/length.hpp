// The one length that may differ from run to run (ir/dynamic.hpp). Types of a program are those of the longest run.
#pragma once

#include "program/view/view.hpp"

namespace quoin::program::view {

// The longest run of the graph, or 0 where no input follows the length. Precondition: ids of inputs are valid.
int64_t longest(const Graph& graph);

inline bool follows(const Value& value, size_t dim) { return (value.dynamic >> dim & 1) != 0; }

// Dim i of `value` in a run of `length`. Precondition: 1 <= length <= longest of its graph, or nothing is dynamic.
inline int64_t dim_at(const Value& value, size_t i, int64_t length) {
  return follows(value, i) ? length : value.shape[i];
}

// Writes the dims that follow the length into `dims`, which has as many as the value.
void set_dims(const Value& value, int64_t length, int64_t* dims);

// Whether a node reads or makes a value that follows the length.
bool follows_length(const Graph& graph, const Node& node);

}  // namespace quoin::program::view
