// Model files to float graphs (form 1). Every importer lands on the same operators (core/ops).
#pragma once

#include <map>
#include <string>

#include "base/diagnostics.hpp"
#include "ir/graph.hpp"

namespace quoin::import {

struct Options {
  std::map<std::string, int64_t>
      dims;  // symbolic dimension -> size ("s77", "batch"); a missing one becomes 1, with a note
};

// `.pt2` (torch.export archive) or `.onnx` (opset 13-22), told apart by content. Symbolic dimensions are bound to a
// size here. Dead nodes and assertions are dropped. The graph passes ir::verify.
// Errors: not_found, model (truncated, garbled, inconsistent; where inside), unsupported (all unknown operators at
// once, each with node, module path), input (a size in `dims` outside of its symbol's range), limit.
Result<ir::Graph> import_model(const std::string& path, const Options& options, Diagnostics& diagnostics);

}  // namespace quoin::import
