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
  // Throws UNSUPPORTED when a shape differs from the compiled one, apart from a length that may be smaller.
  void plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const;
  void run(const sdk::Run& run) const;

 private:
  // Copied out of the blob, so that nothing that was checked can change behind our back.
  struct Step {
    Instruction instruction;
    const Operation* operation;
  };
  void read_named(sdk::Reader& reader, const Header& header, const sdk::Load& load, Regions& regions);
  void read_instructions(sdk::Reader& reader, const Header& header, const Regions& regions);
  void check_follows(const Instruction& instruction, const Checker& checker) const;
  void check_tensor(const quoin_tensor& tensor, const TensorInfo& info, int64_t length, const char* what) const;
  // The length that the inputs have; 1 where all sizes are fixed.
  int64_t length_of(sdk::Array<quoin_tensor> inputs) const;
  uint64_t bytes_of(const TensorInfo& info, int64_t length) const;

  const quoin_host& host_;
  const KernelTable& kernels_;
  uint64_t scratch_bytes_ = 0, worker_bytes_ = 0;
  int64_t longest_ = 0;  // 0: all sizes are fixed
  std::vector<TensorInfo> inputs_, outputs_;
  std::vector<const char*> named_;
  std::vector<Step> steps_;
  const char* data_ = nullptr;
};

}  // namespace quoin::cpu
