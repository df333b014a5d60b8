#pragma once

#include "flow/flow.hpp"

namespace quoin::flow {

// A model file as a float program: import, standard passes, lowering with the context's plugins.
Result<program::Model> lower_float(const std::string& model, const recipe::Recipe& recipe, Context& context,
                                   Diagnostics& diagnostics);

}  // namespace quoin::flow
