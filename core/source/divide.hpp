// Divides the input of linear layers by a factor per column, and multiplies their weights by it.
#pragma once

#include "source/layers.hpp"
#include "source/moments.hpp"

namespace quoin::source {

// Whether the node that makes `value` can take the division up: a norm whose weight is its own, and whose result nobody
// but `readers` reads.
bool takes_division(const ir::Graph& graph, ir::ValueId value, std::span<const ir::NodeId> readers);

// All `readers` read `value` by slot 0. Afterwards they read the result, which is `value` where the node that makes it
// took the division up, and else the product of a multiplication in front of the first reader. The first reader is the
// first in graph order.
Result<ir::ValueId> divide_input(ir::Graph& graph, ir::ValueId value, std::span<const ir::NodeId> readers,
                                 const Vector& factor);

}  // namespace quoin::source
