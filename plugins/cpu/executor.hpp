// Runs a blob: checks it once, then executes its instructions in place.
#pragma once

#include <quoin/plugin.hpp>
#include <vector>

#include "operations.hpp"

namespace quoin::cpu {

// Read-only after construction; runs may overlap, each in its own scratch.
class Executor {
 public:
  // Throws CORRUPT for a blob that is not one; the blob must outlive the executor.
  Executor(const quoin_host& host, const sdk::Load& load);
  // Throws UNSUPPORTED when a shape differs from the compiled one.
  void plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const;
  void run(const sdk::Run& run) const;

 private:
  // Copied out of the blob, so that nothing that was checked can change behind our back.
  struct Step {
    Instruction instruction;
    const Operation* operation;
  };
  void read_instructions(sdk::Reader& reader, const Header& header, const Regions& regions);
  void check_tensor(const quoin_tensor& tensor, const TensorInfo& info, const char* what) const;

  const quoin_host& host_;
  const KernelTable& kernels_;
  uint64_t scratch_bytes_ = 0, worker_bytes_ = 0;
  std::vector<TensorInfo> inputs_, outputs_;
  std::vector<Step> steps_;
  const char* data_ = nullptr;
};

}  // namespace quoin::cpu
