// The one length that may differ from run to run (ir/dynamic.hpp). Types of a program are those of the longest run.
#pragma once

#include "program/model.hpp"

namespace quoin::program {

// The longest run of the graph, or 0 where no input follows the length.
int64_t longest(const Graph& graph);

// What `value` is in a run of `length`. Precondition: 1 <= length <= longest of its graph, or nothing is dynamic.
TensorType type_at(const Value& value, int64_t length);

// The same without allocation: writes those of its dims into `dims`, which has as many as the value.
void set_dims(const Value& value, int64_t length, std::span<int64_t> dims);

// Whether a node reads or makes a value that follows the length.
bool follows_length(const Graph& graph, const Node& node);

// The operator of the node gives its declared results in a run of `length`. Errors: those of infer_types; program.
// Precondition: the operator is known, ids are valid, attributes complete.
Status verify_results(const Graph& graph, const Node& node, int64_t length);

// verify_results of every operator in the graph: a length that passes cannot make a kernel read or write past the end
// of a value. verify() checks the two longest only, because every length would take too long.
Status verify_length(const Graph& graph, int64_t length);

}  // namespace quoin::program
