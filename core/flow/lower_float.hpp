#pragma once

#include "flow/flow.hpp"

namespace quoin::flow {

// A model file as a program without quantizing anything: import, standard passes, the integers that the model brings
// along, lowering with the context's plugins.
Result<program::Model> lower_float(const std::string& model, const recipe::Recipe& recipe, Context& context,
                                   Diagnostics& diagnostics);

}  // namespace quoin::flow
