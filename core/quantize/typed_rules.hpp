// Which operators compute on integers in the typed form, and what their operands must look like.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.hpp"

namespace quoin::quantize {

enum class TypedRule {
  none,     // stays in float between dequantize and quantize
  product,  // data, weight, optional bias: integer accumulator, s32 bias
  general,  // every operand and the result have qparams of their own (add, mean, matmul ...)
  carries,  // clamps and data movement: result and operands have the same qparams
};
TypedRule typed_rule(const ir::Node& node);

// Quantizing the operand gives the same integers as quantizing the result: quantize may move above the node.
bool quantize_may_rise(const ir::Node& node);

// Channel axis of a product's weight; 0, or 1 for transposed convolutions.
int32_t weight_axis(const ir::Node& node);

// "s16 per tensor": dtype and scheme, for messages.
std::string kind_of(const QParams& qparams);

// Qparams that integer kernels take for data: one scale; 8 or 16 bits, any width when the node only carries them.
bool fits_data(TypedRule rule, const QParams& qparams);
// Qparams that integer kernels take for a product's weight: at most 8 bits, one scale or one per output channel; with
// `dynamic` activations of a linear also one per group.
bool fits_weight(const ir::Node& node, const QParams& qparams, bool dynamic = false);

}  // namespace quoin::quantize
