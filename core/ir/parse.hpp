// Reads the text that print() writes (docs/graph_text.md).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ir/graph.hpp"

namespace quoin::ir {

struct ParseOptions {
  std::string name = "graph text";  // file name, for messages
  // Gives the elements of a constant that the text holds by digest only; parse() checks type and digest.
  std::function<Result<Tensor>(const std::string& name, const TensorType& type)> constants;
};

// parse(print(g, Detail::complete)) equals g.compact() but for the ids of values: names, types, qparams, attributes to
// the bit, modules, sources, debug ids, origins, order of inputs, nodes and outputs. The result passes verify().
// Foreign text is safe: memory stays proportional to it.
// Errors (model): syntax, unknown or repeated names, types that do not fit, each as "name:line:column"; (unsupported):
// unknown operator; (limit): text over 1 GiB, too many statements, operands or list items.
Result<Graph> parse(std::string_view text, const ParseOptions& options = {});

}  // namespace quoin::ir
