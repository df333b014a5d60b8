// Is our QDQ graph the reference's?
#pragma once

#include <string>
#include <vector>

#include "golden.hpp"
#include "ir/graph.hpp"

namespace quoin::parity {

// Walks both graphs from their outputs to their inputs, whatever the nodes are called. Both must have the same
// operators with the same operands, where the importer's own way to write an operator counts as it; quantize,
// dequantize and choose_qparams the same integers and scales within 1e-6; integer constants must be equal, float ones
// within 1e-6 of their largest element. Returns the differences in words.
std::vector<std::string> graph_differences(const Golden& golden, const ir::Graph& ours);

// Results against the case's output_quant: every element within one step of the output's scale and 99.5 % equal. An
// output in float has no scale; its step is 1/255 of its range. Returns the differences in words.
std::vector<std::string> output_differences(const Golden& golden, const std::vector<Tensor>& ours);

}  // namespace quoin::parity
