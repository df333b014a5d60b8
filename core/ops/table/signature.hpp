// Signatures of operators: operands; attributes -> results, close to PyTorch's schemas.
//
//   input, weight, bias?; stride: int[2] = 1, groups: int = 1
//   tensors...; dim: int = 0
//   input; dtype: str, eps: float? -> scale, zero_point
//
//   bias?           an operand that may be absent
//   tensors...      the last operand, which repeats
//   dim: int        an attribute, one of bool, int, float, str, int[], float[]; required
//   eps: float?     an attribute that may be absent
//   mode: str = x   an attribute with a default; words, numbers, true and false need no quotes
//   size: int[2]    a list of two, or one element for both; so is its default
//   step: int[2] = size   absent or empty: a copy of that attribute, which stands before it
//   -> a, b         the results, where they are several
#pragma once

#include "ops/schema.hpp"

namespace quoin::table {

// Operands, attributes and number of results. A malformed signature is a programming error: aborts and shows the place.
OpSchema parse_signature(std::string_view signature);

}  // namespace quoin::table
