// What a model already is quantized to when it comes in: exported after PT2E, quantization-aware training or torchao.
#pragma once

#include <map>
#include <string>

#include "ir/graph.hpp"

namespace quoin::quantize {

// The graph has quantize or dequantize nodes: to_typed turns it into integers.
bool has_quantization(const ir::Graph& graph);

// Every node that is quantized as it stands, and how, in words: a product whose weight is dequantized, another operator
// all of whose real operands are, a clamp or data movement behind such a node; quantize and dequantize nodes
// themselves. Quantizers leave these alone. Errors (model): qparams that make no sense.
Result<std::map<ir::NodeId, std::string>> quantized_in_model(const ir::Graph& graph);

}  // namespace quoin::quantize
