// Where nodes run and what stayed in float, as tables and JSON: the answer to "why was this not delegated?".
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

std::string_view name(quantize::Verdict::Kind kind);  // "quantized", "float (recipe)", ...

// Nodes, integer nodes and share of multiply-adds per backend.
std::string placement_table(const std::vector<lower::Placement>& placement);
// Operators left in float or outside every plugin, grouped by reason; "" if there are none.
std::string left_out_table(const flow::Quantized& result);
Json placement_json(const std::vector<lower::Placement>& placement);

}  // namespace quoin::cli
