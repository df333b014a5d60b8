// How a case's quantizer was set up, as a quantizer of a recipe.
#pragma once

#include <nlohmann/json.hpp>

#include "recipe/recipe.hpp"

namespace quoin::parity {

// `config`: per setter of the reference quantizer its arguments, in the order of the calls.
// Errors (data): a setter, an argument or a kind of filter that is not known.
Result<recipe::Quantizer> config_of(const nlohmann::ordered_json& config, bool compatible);

}  // namespace quoin::parity
