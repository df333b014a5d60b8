// One method, bound to memory: what a run does. Nothing here allocates.
#pragma once

#include "base/arena.hpp"
#include "runtime/memory.hpp"
#include "runtime/observer.hpp"
#include "runtime/step.hpp"
#include "runtime/stop.hpp"

namespace quoin::runtime {

struct Blocks {
  Block arena, scratch, states;
};

// The new content of a state that is not updated in place: moved after the run.
struct StateCopy {
  uint64_t from, to, bytes;  // offsets into the arena and into the states
};

// A tensor of a step that lies in run()'s inputs or outputs: bound anew in every run.
struct Patch {
  quoin_tensor* tensor;
  Location location;
};

// What set_length() needs for one length (prepare.hpp).
struct Ahead;

// Made by bind(). Itself and its lists lie in the arena of the instance; close() ends the use of its steps.
struct Method {
  const view::Method* of;
  Source* sources;  // the method's graph, and the originals that run in it
  Step* steps;
  std::span<uint32_t> inputs, outputs;   // values of the graph that are no states
  std::span<Location> output_locations;  // of each of `outputs`
  std::span<int64_t*> output_dims;       // of each, in the last run
  std::span<StateCopy> copies;
  std::span<Patch> patches;
  Ahead* ahead;             // the longest, and others that were asked for
  uint64_t arena;           // bytes
  int64_t longest, length;  // of a run; that which the steps are prepared for, 0: none or not known

  const view::Value& input(size_t i) const { return of->graph().values[inputs[i]]; }
  const view::Value& output(size_t i) const { return of->graph().values[outputs[i]]; }
  // Whether output i is computed into memory of its own: else it is an input, a constant or an output before it.
  bool is_made(size_t i) const { return output_locations[i] == Location{Location::output, i}; }

  // Steps read and write these blocks from now on.
  void use(const Blocks& blocks);
  // The length of the run, or 0 where nothing follows one. Errors: input.
  bool check_inputs(std::span<const quoin_tensor> given, int64_t& run_length, Fault& fault) const;
  // Sets rank and dims (owned by this object) of every output, and the bytes that a run of this length writes; where
  // `check`, data and size are checked first. Errors: input.
  bool describe_outputs(int64_t run_length, std::span<quoin_tensor> to, bool check, Fault& fault);
  // Outputs that are not made may lack data. Errors: plugin, input, cancelled.
  bool run(std::span<const quoin_tensor> given, std::span<const quoin_tensor> made, const Blocks& blocks, Stop& stop,
           Observer* observer, Fault& fault);

 private:
  bool run_step(const Step& step, const Blocks& blocks, Stop& stop, Observer* observer, Fault& fault) const;
  void copy_outputs(std::span<const quoin_tensor> given, std::span<const quoin_tensor> made) const;
};
void close(Method& method);

}  // namespace quoin::runtime
