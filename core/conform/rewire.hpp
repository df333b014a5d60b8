// The same graph in other words: what a plugin answers must not depend on them.
#pragma once

#include <vector>

#include "conform/dice.hpp"
#include "ir/graph.hpp"

namespace quoin::conform {

// The nodes in another topological order, chosen at random; ids change, names, provenance and qparams stay.
ir::Graph shuffled(const ir::Graph& graph, Dice& dice);

// Other dims for the inputs, in their order; what follows from them is inferred again, constants and qparams stay.
// Errors (model): the operators do not allow it.
Result<ir::Graph> resized(const ir::Graph& graph, const std::vector<Shape>& inputs);
// The shapes of the graph's inputs.
std::vector<Shape> input_shapes(const ir::Graph& graph);

}  // namespace quoin::conform
