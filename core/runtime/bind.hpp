// From a verified program to bound steps: kernels selected and prepared, delegates loaded, originals put in the place
// of delegates that cannot run here.
#pragma once

#include <deque>

#include "runtime/delegate.hpp"
#include "runtime/graph_view.hpp"

namespace quoin::runtime {

struct Bound {
  std::deque<GraphView> views;  // what prepared kernels may point into
  std::vector<Step> steps;
  std::vector<Location> outputs;                            // of the program's outputs
  uint64_t arena = 0, scratch = 0, scratch_alignment = 64;  // bytes
};

// `model` must stay where it is. Errors: program_version, plugin, unsupported, limit.
Result<Bound> bind(const program::Model& model, const Options& options, const quoin_host& host,
                   Diagnostics& diagnostics);

}  // namespace quoin::runtime
