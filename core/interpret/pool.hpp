// Memory blocks that are used again as soon as nobody holds a tensor in them.
#pragma once

#include <vector>

#include "ops/tensor.hpp"

namespace quoin::interpret {

// A block is free when the pool holds its only reference, so tensors that a caller keeps stay valid. Not thread safe.
class Pool {
 public:
  // Uninitialised; 64-byte aligned. Throws std::bad_alloc.
  Tensor take(DType dtype, const Shape& shape) {
    const auto bytes = static_cast<size_t>(byte_size(dtype, shape));
    const Tensor* best = nullptr;
    for (const Tensor& block : blocks_) {
      const bool fits = block.owner().use_count() == 1 && block.bytes() >= bytes;
      if (fits && (best == nullptr || block.bytes() < best->bytes())) best = &block;
    }
    if (best == nullptr) best = &blocks_.emplace_back(DType::u8, Shape{static_cast<int64_t>(bytes)});
    return Tensor(dtype, shape, best->owner(), best->data());
  }
  size_t blocks() const { return blocks_.size(); }

 private:
  std::vector<Tensor> blocks_;
};

}  // namespace quoin::interpret
