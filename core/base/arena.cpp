#include "base/arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.hpp"

namespace quoin {
namespace {

// Bytes. Blocks grow, but what one large object takes is no measure of what comes after it.
constexpr uint64_t kSmallestBlock = 4096, kLargestStep = 1 << 20, kMost = uint64_t{1} << 40;

}  // namespace

Allocator heap() {
  return {
      nullptr,
      [](void*, uint64_t size, uint64_t alignment) { return std::aligned_alloc(alignment, align_up(size, alignment)); },
      [](void*, void* memory, uint64_t, uint64_t) { std::free(memory); }};
}

void* Arena::take(uint64_t count, uint32_t size, Fault& fault) {
  const uint64_t bytes = count < kMost ? count * size : kMost;
  // Small things lie close together, large ones on cache lines.
  uint64_t begin = align_up(used_, bytes < kAlignment ? uint64_t{8} : kAlignment);
  if (last_ == nullptr || bytes > last_->size - std::min(begin, last_->size)) {
    begin = kAlignment;
    const uint64_t step = last_ == nullptr ? kSmallestBlock : std::min(2 * last_->size, kLargestStep);
    const uint64_t room = std::max(begin + bytes, step);
    auto* block = bytes < kMost ? static_cast<Block*>(from_.alloc(from_.self, room, kAlignment)) : nullptr;
    if (block == nullptr) {
      fault.fail(Code::limit, "out of memory");
      return nullptr;
    }
    *block = {last_, room};
    last_ = block;
  }
  used_ = begin + bytes;
  return std::memset(reinterpret_cast<std::byte*>(last_) + begin, 0, bytes);
}

Arena::~Arena() {
  while (last_ != nullptr) {
    Block* const before = last_->before;
    from_.free(from_.self, last_, last_->size, kAlignment);
    last_ = before;
  }
}

}  // namespace quoin
