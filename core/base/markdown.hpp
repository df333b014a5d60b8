// Tables of Markdown pages. Cells are Markdown already: who has foreign text escapes it.
#pragma once

#include <string>
#include <vector>

#include "base/text.hpp"

namespace quoin {

inline std::string markdown_row(const std::vector<std::string>& cells) { return "| " + join(cells, " | ") + " |\n"; }
// The first line of a table and the one that makes it one.
inline std::string markdown_head(const std::vector<std::string>& cells) {
  return markdown_row(cells) + markdown_row(std::vector<std::string>(cells.size(), "---"));
}

}  // namespace quoin
