// One length that may differ from run to run: the number of tokens. Shapes of a graph are those of its largest value.
#pragma once

#include "ir/graph.hpp"

namespace quoin::ir {

// Values whose Value::dynamic is set on graph inputs follow the length; marks every other value that does, by inferring
// the graph once more for a length that is one smaller. Errors (model): inputs with two different lengths or one below
// 2, a node that takes the length for a fixed number, a dim that follows it otherwise than by being equal.
Status mark_dynamic(Graph& graph);

// The largest length, or 0 where no input follows it.
int64_t longest(const Graph& graph);

}  // namespace quoin::ir
