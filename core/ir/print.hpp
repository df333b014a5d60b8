#pragma once

#include <string>

#include "ir/graph.hpp"

namespace quoin::ir {

// How much a printed graph says; the grammar is the same (docs/graph_text.md).
enum class Detail {
  brief,     // for people: qparams in short, the module's path as a comment, constants by digest
  digests,   // everything but the elements of constants: parse() asks a provider for them
  complete,  // everything: parse() gives the graph back
};

// Stable text, one statement per input, constant and node:
//   %conv2d: s8[1, 32, 112, 112](scale 0.02, zero_point -128) = aten.conv2d.default(%x, %w, %b) {groups=1, ...}  #
//   stem.conv
// ASCII whatever the names hold. Numbers read back as the same bits.
std::string print(const Graph& graph, Detail detail = Detail::brief);

}  // namespace quoin::ir
