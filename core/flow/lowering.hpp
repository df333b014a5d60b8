// The last stage of every flow: a typed or float graph becomes a program by the recipe's lower section.
#pragma once

#include "flow/flow.hpp"
#include "lower/lower.hpp"

namespace quoin::flow {

// Nodes in float get the form that the plugins want, too: annotate rewrites only those to be quantized.
// Errors: recipe (lower.order, lower.params), plugin, unsupported, strict.
// `keep_original`: where the recipe does not say.
Result<lower::Lowered> lower_methods(std::vector<lower::Method>& methods, const recipe::Recipe& recipe,
                                     bool keep_original, Context& context, Diagnostics& diagnostics);
// The same for a program with one method.
Result<lower::Lowered> lower_graph(ir::Graph& graph, const recipe::Recipe& recipe, Context& context,
                                   Diagnostics& diagnostics);

}  // namespace quoin::flow
