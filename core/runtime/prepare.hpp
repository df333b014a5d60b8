// Steps ready for a run of one length.
#pragma once

#include "runtime/executable.hpp"
#include "runtime/step.hpp"

namespace quoin::runtime {

struct Bound;

// The memory that the most demanding step wants beside its tensors.
struct Scratch {
  uint64_t bytes = 0, alignment = 64;
  // Errors: plugin (no power of two), limit.
  Status add(const quoin_memory_need& need);
};

// Chooses and prepares a kernel for the shapes that the step's view has now.
Status prepare_kernel(Step& step, const kernels::KernelSet* kernels, const quoin_host& host, Scratch& scratch);

// Makes everything that follows the length of the run fit `length`: dims and sizes of tensors, kernels, delegates.
// After an error the steps are not usable until it succeeds. Errors: program (a shape that the program says is not
// what an operator gives for this length), plugin (a delegate cannot run it), unsupported, limit.
Status set_length(Bound& bound, int64_t length, const kernels::KernelSet* kernels, const quoin_host& host,
                  Scratch& scratch);

// Keeps the kernels of the length that the steps are prepared for: setting it again takes no heap memory.
void keep_ahead(Bound& bound);

}  // namespace quoin::runtime
