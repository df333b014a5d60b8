#pragma once

#include <optional>

#include "ir/graph.hpp"

namespace quoin::quantize {

// The smallest type of 2, 4 or 8 bits that holds the integer range and the zero points of byte-wide qparams; their own
// when there is none.
DType packed_type(const QParams& qparams);

// Bytes as elements of 2 or 4 bits, element 0 of each row in the low bits of its first byte. Nothing if a value lies
// outside the range of the type.
std::optional<Tensor> packed(const Tensor& bytes, DType dtype);

// Stores quantized constants of a typed graph in 4 or 2 bits per element where their integer range allows it and every
// reader reads them so: quoin.dequantize, and products (linear, convolutions, quoin.linear_dynamic) as their weight.
// What the constants stand for stays the same.
void pack_constants(ir::Graph& typed);

}  // namespace quoin::quantize
