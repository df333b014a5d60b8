// Memory that a run works in: given by the caller, or taken from the host.
#pragma once

#include <quoin/abi.h>

#include <cstddef>

#include "base/fault.hpp"

namespace quoin::runtime {

// Bytes that all methods of a program together need, and how they must be aligned.
struct MemoryNeed {
  uint64_t arena = 0, scratch = 0, states = 0;
  uint64_t arena_alignment = 64, scratch_alignment = 64, states_alignment = 64;
};

// `data` null: from the host. What is given must stay until the executable is gone, and is used by nothing else.
struct Region {
  void* data = nullptr;
  uint64_t size = 0;
};
struct Memory {
  Region arena, scratch, states;
};

// One of them. Frees what came from the host.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { clear(); }
  // In the place of what it was, which stays after an error. Errors: limit (too small, or the host has no more), input
  // (misaligned).
  bool set(const quoin_host& host, const Region& given, uint64_t size, uint64_t alignment, const char* what,
           Fault& fault);
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  uint64_t alignment() const { return alignment_; }
  bool is_set() const { return data_ != nullptr; }
  bool is_given() const { return host_ == nullptr; }
  void clear();

 private:
  const quoin_host* host_ = nullptr;  // null: given
  std::byte* data_ = nullptr;
  uint64_t size_ = 0, alignment_ = 0;
};

}  // namespace quoin::runtime
