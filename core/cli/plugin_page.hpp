// The reference part of a backend's page in docs/backends, from what the plugin says about itself.
#pragma once

#include <string>

#include "cli/command.hpp"

namespace quoin::cli {

// Markdown: roles, options, presets, rules, kernels, numerics, known limits; sections without content are left out.
// `description`: the object of `quoin plugin describe --json`.
std::string plugin_page(const Json& description);

}  // namespace quoin::cli
