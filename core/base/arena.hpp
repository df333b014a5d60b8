// Memory for what lives and dies together: taken in blocks, given back at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/fault.hpp"

namespace quoin {

// Where blocks come from. alloc gives null where there is no memory.
struct Allocator {
  void* self;
  void* (*alloc)(void* self, uint64_t size, uint64_t alignment);
  void (*free)(void* self, void* memory, uint64_t size, uint64_t alignment);
};
Allocator heap();

// Nothing in it is destroyed, so it holds what needs no destructor. One thread at a time. Where there is no memory,
// null or false is returned and the fault says so (limit).
class Arena {
 public:
  explicit Arena(const Allocator& from) : from_(from) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  const Allocator& allocator() const { return from_; }
  // `count` zeroed objects. Where there is no memory, `out` is not to be looked at.
  template <class T>
  bool make(uint64_t count, std::span<T>& out, Fault& fault) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    auto* objects = static_cast<T*>(take(count, sizeof(T), fault));
    out = {objects, count};
    return objects != nullptr;
  }
  // Zeros, aligned to 64 bytes; where they are fewer, to 8.
  static constexpr uint64_t kAlignment = 64;
  void* take(uint64_t count, uint32_t size, Fault& fault);

 private:
  struct Block {
    Block* before;
    uint64_t size;
  };
  Allocator from_;
  Block* last_ = nullptr;
  uint64_t used_ = 0;  // of the last block
};

}  // namespace quoin
