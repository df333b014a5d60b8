// Runs a program in the memory that the host lends, on the host's threads: each of them is a core with an on-chip
// buffer of its own. Integers only.
#pragma once

#include "kernels.hpp"
#include "validate.hpp"

namespace quoin::npu {

// Read-only after construction; runs may overlap, each in its own scratch.
class Executor {
 public:
  // Throws CORRUPT for a blob that is not one; the blob must outlive the executor.
  Executor(const quoin_host& host, const sdk::Load& load);
  // Throws UNSUPPORTED when a type or shape differs from the compiled one.
  void plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const;
  // Throws CANCELLED, and INVALID for tensors or scratch other than planned.
  void run(const sdk::Run& run) const;

 private:
  uint64_t scratch_bytes() const;
  void check_port(const quoin_tensor& tensor, const Port& port, const char* what) const;

  const quoin_host& host_;
  const Program program_;
};

}  // namespace quoin::npu
