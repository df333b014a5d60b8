#pragma once

#include <chrono>
#include <string>

#include "base/result.hpp"

namespace quoin::cli {

// Runs Graphviz (`dot -Tsvg`, found along PATH, without a shell) on DOT text and gives the SVG document.
// Errors: not_found (the program is not installed, with the package that has it), limit (it took longer than `patience`
// and was ended), io (it failed, with its own words).
Result<std::string> to_svg(const std::string& dot, std::chrono::seconds patience = std::chrono::seconds(120));

}  // namespace quoin::cli
