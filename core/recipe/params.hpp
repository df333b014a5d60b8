// Parameters of a recipe, checked against what a plugin declares.
#pragma once

#include <quoin/abi.h>

#include <string>

#include "ops/schema.hpp"
#include "recipe/recipe.hpp"

namespace quoin::recipe {

// `given` as the type that the plugin declares (integers are numbers, too). Errors (recipe): wrong type, out of range,
// none of the choices.
Result<Scalar> check_param(const quoin_param_spec& spec, const Scalar& given);

// `params` checked against the declarations `specs` (of quoin_param_spec), defaults filled in. `owner` ("observer x")
// is named in errors. Errors (recipe): unknown parameter (nearest given), those of check_param.
Result<Params> complete_params(const std::string& owner, quoin_array specs, const Params& params);

// A parameter value that a plugin passed. Errors (plugin): a kind that is not a scalar.
Result<Scalar> scalar_from(const quoin_param& param);

Attrs to_attrs(const Params& params);

}  // namespace quoin::recipe
