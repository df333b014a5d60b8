// Which rule of a recipe decides about which node.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ir/graph.hpp"
#include "recipe/recipe.hpp"

namespace quoin::quantize {

// '*' matches any characters, '?' one; all others themselves.
bool glob_match(std::string_view pattern, std::string_view text);

// All selectors of the rule hold for the node. A module or module type selector holds when any module around the node
// fits, so it covers everything inside that module.
bool applies(const recipe::Rule& rule, const ir::Node& node);

// Per live node id, the index of the deciding rule; nothing: the quantizer's global preset.
// Most specific wins: node name, then module (longer literal prefix first), then module type, then op; a rule with more
// selectors beats one that is equal so far; of equals the later one wins.
// Errors (recipe): a rule that applies to no node, with the nearest name.
Result<std::vector<std::optional<size_t>>> resolve_scopes(const ir::Graph& graph,
                                                          const std::vector<recipe::Rule>& rules);

}  // namespace quoin::quantize
