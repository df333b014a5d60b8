// Steps ready for a run of one length.
#pragma once

#include "runtime/method.hpp"

namespace quoin::runtime {

// The memory that the most demanding step wants beside its tensors.
struct Scratch {
  uint64_t bytes = 0, alignment = 64;
  // Errors: plugin (no power of two), limit.
  bool add(const quoin_memory_need& need, Fault& fault);
};

// Chooses and prepares a kernel for the shapes that the step's view has now.
bool prepare_kernel(Step& step, const kernels::KernelSet* kernels, const quoin_host& host, Scratch& scratch,
                    Fault& fault);

// Makes everything that follows the length of the run fit `length`: dims and sizes of tensors, kernels, delegates.
// After an error the steps are not usable until it succeeds. Errors: program (a shape that the program says is not
// what an operator gives for this length), plugin (a delegate cannot run it), unsupported, limit.
bool set_length(Method& method, int64_t length, const kernels::KernelSet* kernels, const quoin_host& host,
                Scratch& scratch, Fault& fault);

// Whether the kernels of a length are kept. Without operators there are none to keep.
bool is_ahead(const Method& method, int64_t length);
// Keeps the kernels of the length that the steps are prepared for: setting it again takes no heap memory.
void keep_ahead(Method& method);
// Frees what was kept, and the views of the sources.
void forget(Method& method);

}  // namespace quoin::runtime
