// Plans device memory: tensors whose lives do not overlap share bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace quoin::npu {

class Memory {
 public:
  // A tensor, named by the number returned.
  uint64_t add(uint64_t bytes);
  // The command at `time` reads or writes it; times do not decrease.
  void use(uint64_t tensor, uint64_t time);
  // Places every tensor; returns the bytes of all. Throws Failure UNSUPPORTED beyond kMaxArenaBytes.
  uint64_t plan();
  uint64_t offset(uint64_t tensor) const;  // after plan()

 private:
  struct Tensor {
    uint64_t bytes = 0, first = UINT64_MAX, last = 0, offset = 0;
  };
  std::vector<Tensor> tensors_;
};

}  // namespace quoin::npu
