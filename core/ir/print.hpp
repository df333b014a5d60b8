#pragma once

#include <string>

#include "ir/graph.hpp"

namespace quoin::ir {

// Stable text, one line per input, constant and node:
//   %conv2d: s8[1, 32, 112, 112](scale 0.02, zero_point -128) = aten.conv2d.default(%x, %w, %b) {groups=1, ...}  #
//   stem.conv
// Constants print type and a content digest, not their elements.
std::string print(const Graph& graph);

}  // namespace quoin::ir
