// One method, bound to memory: what a run does. Nothing here allocates unless a run fails or has another length than
// the one before.
#pragma once

#include <memory>
#include <span>

#include "runtime/bind.hpp"
#include "runtime/memory.hpp"
#include "runtime/observer.hpp"
#include "runtime/stop.hpp"

namespace quoin::runtime {

struct Blocks {
  Block arena, scratch, states;
};

class Runnable {
 public:
  explicit Runnable(std::unique_ptr<Bound> bound);
  Bound& bound() { return *bound_; }
  const Bound& bound() const { return *bound_; }
  const program::Value& input(size_t i) const { return graph().values[bound_->inputs[i]]; }
  const program::Value& output(size_t i) const { return graph().values[bound_->outputs[i]]; }
  // Whether output i is computed into memory of its own: else it is an input, a constant or an output before it.
  bool is_made(size_t i) const { return bound_->output_locations[i] == Location{Location::output, i, nullptr}; }

  // Steps read and write these blocks from now on.
  void use(const Blocks& blocks);
  // The length of the run, or 0 where nothing follows one. Errors: input.
  Result<int64_t> check_inputs(std::span<const quoin_tensor> inputs) const;
  // Sets rank and dims (owned by this object) of every output, and the bytes that a run of this length writes; where
  // `check`, data and size are checked first. Errors: input.
  Status describe_outputs(int64_t length, std::span<quoin_tensor> outputs, bool check);
  // Outputs that are not made may lack data. Errors: plugin, input, cancelled.
  Status run(std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs, const Blocks& blocks,
             Stop& stop, Observer* observer);

 private:
  // A tensor of a step that lies in run()'s inputs or outputs: bound anew in every run.
  struct Patch {
    size_t step, tensor;
    Location location;
  };
  const program::Graph& graph() const { return *bound_->sources[0].graph; }
  Status run_step(const Step& step, const Blocks& blocks, Stop& stop, Observer* observer) const;
  void copy_outputs(std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs) const;

  std::unique_ptr<Bound> bound_;
  std::vector<Patch> patches_;
  std::vector<Shape> output_dims_;
};

}  // namespace quoin::runtime
