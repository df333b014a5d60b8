// Memory that a run works in: given by the caller, or taken from the host.
#pragma once

#include <quoin/abi.h>

#include <cstddef>
#include <string_view>

#include "base/result.hpp"

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
  // Errors: limit (too small, or the host has no more), input (misaligned).
  static Result<Block> make(const quoin_host& host, const Region& given, uint64_t size, uint64_t alignment,
                            std::string_view what);
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;
  ~Block();
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  uint64_t alignment() const { return alignment_; }
  bool is_given() const { return host_ == nullptr; }

 private:
  Block(const quoin_host* host, std::byte* data, uint64_t size, uint64_t alignment)
      : host_(host), data_(data), size_(size), alignment_(alignment) {}
  const quoin_host* host_;  // null: given
  std::byte* data_;
  uint64_t size_, alignment_;
};

}  // namespace quoin::runtime
