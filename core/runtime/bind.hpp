// From a verified program to bound steps: kernels selected and prepared, delegates loaded, originals put in the place
// of delegates that cannot run here.
#pragma once

#include <list>

#include "runtime/delegate.hpp"
#include "runtime/graph_view.hpp"
#include "runtime/prepare.hpp"

namespace quoin::runtime {

// Where the state of each name lies in the memory of all states.
struct StateLayout {
  struct Place {
    uint64_t offset = 0, bytes = 0;
    const program::Value* value = nullptr;  // before a run; of the first method that has it
  };
  std::map<std::string, Place, std::less<>> places;
  uint64_t bytes = 0;
};
// Errors: limit.
Result<StateLayout> lay_out_states(const program::Model& model);

// The new content of a state that is not updated in place: moved after the run.
struct StateCopy {
  uint64_t from = 0, to = 0, bytes = 0;  // offsets into the arena and into the states
};

// What set_length() needs for one length.
struct Ahead {
  int64_t length = 0;
  std::vector<std::shared_ptr<PreparedKernel>> kernels;  // of the steps that follow the length, in their order
};

// One method.
struct Bound {
  std::list<GraphView> views;   // what prepared kernels may point into
  std::vector<Source> sources;  // the method's graph and the originals that run in it
  std::vector<Step> steps;
  std::vector<uint32_t> inputs, outputs;   // values of the graph that are no states
  std::vector<Location> output_locations;  // of each of `outputs`
  std::vector<StateCopy> copies;
  std::vector<Ahead> ahead;         // the longest, and others that were asked for
  uint64_t arena = 0;               // bytes
  int64_t longest = 0, length = 0;  // of a run; that which the steps are prepared for, 0: none or not known
};

// `model` must stay where it is. Scratch memory that steps need is added to `scratch`.
// Errors: program_version, plugin, unsupported, limit.
Result<std::unique_ptr<Bound>> bind(const program::Model& model, size_t method, const StateLayout& states,
                                    const Options& options, const quoin_host& host, Scratch& scratch,
                                    Diagnostics& diagnostics);

}  // namespace quoin::runtime
