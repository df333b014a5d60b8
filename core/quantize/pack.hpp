#pragma once

#include "ir/graph.hpp"

namespace quoin::quantize {

// Stores quantized constants of a typed graph in 4 or 2 bits per element where their integer range allows it and every
// reader reads them so: quoin.dequantize, and products (linear, convolutions, quoin.linear_dynamic) as their weight.
// What the constants stand for stays the same.
void pack_constants(ir::Graph& typed);

}  // namespace quoin::quantize
