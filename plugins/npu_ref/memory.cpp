#include "memory.hpp"

#include <quoin/plugin.hpp>

#include <algorithm>
#include <numeric>

#include "geometry.hpp"

namespace quoin::npu {

uint64_t Memory::add(uint64_t bytes) {
  tensors_.push_back({.bytes = aligned(bytes)});
  return tensors_.size() - 1;
}

void Memory::use(uint64_t tensor, uint64_t time) {
  Tensor& t = tensors_[tensor];
  t.first = std::min(t.first, time);
  t.last = std::max(t.last, time);
}

uint64_t Memory::offset(uint64_t tensor) const { return tensors_[tensor].offset; }

// Largest first, each at the lowest offset that is free during its life.
uint64_t Memory::plan() {
  std::vector<size_t> order(tensors_.size()), placed;
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return tensors_[i].bytes; });
  uint64_t total = 0;
  for (const size_t i : order) {
    Tensor& own = tensors_[i];
    for (const size_t other : placed) {  // by offset
      const Tensor& t = tensors_[other];
      if (t.last < own.first || own.last < t.first) continue;
      if (own.offset + own.bytes <= t.offset) break;
      own.offset = std::max(own.offset, t.offset + t.bytes);
    }
    total = std::max(total, own.offset + own.bytes);
    const auto by_offset = [&](size_t n) { return tensors_[n].offset; };
    placed.insert(std::ranges::upper_bound(placed, own.offset, {}, by_offset), i);
  }
  if (total > kMaxArenaBytes)
    throw sdk::Failure(QUOIN_UNSUPPORTED, "the tensors of one program take " + std::to_string(total) +
                                              " bytes of device memory, npu_ref has " + std::to_string(kMaxArenaBytes));
  return total;
}

}  // namespace quoin::npu
