#pragma once

#include "ir/graph.hpp"

namespace quoin::ir {

// Checks structure (ids, users, topological order, unique names), operator rules (schema, attributes, inferred types)
// and qparams (counts, ranges, finite positive scales). The error (model) names the node and what was expected.
Status verify(const Graph& graph);

// As ==, but numbers count as equal when their bits are: a NaN equals itself, 0 and -0 differ.
bool identical(const Attrs& a, const Attrs& b);

}  // namespace quoin::ir
