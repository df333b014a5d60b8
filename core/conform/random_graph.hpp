#pragma once

#include "conform/dice.hpp"
#include "ir/graph.hpp"

namespace quoin::conform {

// A float graph of one to about 25 nodes: convolutions (grouped, depthwise, transposed, 1d), linear layers, products of
// activations, sums and products with themselves, with constants and scalars, pools, clamps, normalisations,
// operators without an integer form, data movement; inside nested modules; several inputs and outputs; shared weights;
// outputs that are read inside, too. Values stay far from overflow.
ir::Graph random_graph(Dice& dice);

}  // namespace quoin::conform
