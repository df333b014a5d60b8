#pragma once

#include "ir/graph.hpp"

namespace quoin::ir {

// Checks structure (ids, users, topological order, unique names), operator rules (schema, attributes, inferred types)
// and qparams (counts, ranges, finite positive scales). The error (model) names the node and what was expected.
Status verify(const Graph& graph);

}  // namespace quoin::ir
