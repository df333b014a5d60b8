// Where nodes run and what stayed in float, as tables and JSON: the answer to "why was this not delegated?".
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

std::string_view name(quantize::Verdict::Kind kind);  // "quantized", "float (recipe)", ...

// Errors (strict): nodes that are in float unintended, with their reasons. `result`, when there is one: also nodes
// whose data a plugin had quantized and that compute in float nevertheless.
Status check_intended(const quantize::Annotations& annotations, const std::vector<lower::Placement>* result = nullptr);

// Nodes, integer nodes and share of multiply-adds per backend.
std::string placement_table(const std::vector<lower::Placement>& placement);
// What stayed in float or outside every plugin; "" if there is none. One row per reason for what a change of recipe or
// model could help; one line in all for operators that a preset leaves in float and a plugin runs nevertheless.
std::string left_out_text(const flow::Quantized& result);
Json placement_json(const std::vector<lower::Placement>& placement);

}  // namespace quoin::cli
