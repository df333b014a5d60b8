// A graph view of its own memory, which can be taken away: does a plugin keep pointers that it only borrowed?
#pragma once

#include <quoin/abi.h>

#include <span>
#include <vector>

#include "conform/test_host.hpp"

namespace quoin::conform {

// Memory for a few small objects at a time, in pages of their own.
class Arena {
 public:
  void* take(uint64_t size, uint64_t alignment);
  template <class T>
  T* copy(const T* items, uint64_t count) {
    if (items == nullptr) return nullptr;
    auto* out = static_cast<T*>(take(count * sizeof(T), alignof(T)));
    std::copy(items, items + count, out);
    return out;
  }
  void forbid() const;  // whoever reads or writes it from now on is killed

 private:
  std::vector<GuardedMemory> blocks_;
  char* next_ = nullptr;
  uint64_t left_ = 0;
};

// Everything behind the view is copied: arrays, strings, attributes, dims, qparams, constants.
class GraphCopy {
 public:
  // Value i of the copy is value `values[i]` of the source; empty: the same numbers.
  explicit GraphCopy(const quoin_graph& source, std::span<const uint32_t> values = {});
  const quoin_graph* view() const { return view_; }
  void forbid() const { arena_.forbid(); }

 private:
  Arena arena_;
  const quoin_graph* view_;
};

}  // namespace quoin::conform
