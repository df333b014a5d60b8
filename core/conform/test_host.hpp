// A host that can be older or newer than this one, run out of memory on request, and counts what a plugin does with it.
#pragma once

#include <quoin/abi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quoin::conform {

class TestHost {
 public:
  struct Options {
    uint32_t abi_major = QUOIN_ABI_MAJOR, abi_minor = QUOIN_ABI_MINOR;
    // What the table claims. A larger one is followed by zeros; behind the last byte lies a page that may not be
    // touched.
    uint32_t struct_size = sizeof(quoin_host);
    uint32_t workers = 1;          // of parallel_for, as host::Services hands them out
    std::optional<uint64_t> isa;   // QUOIN_ISA_* bits; nothing: those of this machine
    uint64_t fail_allocation = 0;  // number, from 1, of the allocation that gives NULL, with all after it; 0: none
    bool guard_pages = false;      // every allocation ends at a page that may not be touched; so does freed memory
  };
  struct Log {
    int level;
    std::string text;
  };
  explicit TestHost(Options options);
  ~TestHost();
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  const quoin_host& table() const;
  uint64_t allocations() const;  // calls of alloc so far
  uint64_t live_bytes() const;   // not yet freed
  // What the plugin did wrong: frees of what was not allocated or with another size or alignment, alignments that are
  // no power of two, bytes written between the end of an allocation and its guard page.
  std::vector<std::string> faults() const;
  std::vector<Log> logs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Memory that ends right before a page that may not be touched.
class GuardedMemory {
 public:
  // The end keeps off the page by less than `alignment` bytes. Null data when there is no memory.
  GuardedMemory(uint64_t size, uint64_t alignment);
  ~GuardedMemory();
  GuardedMemory(GuardedMemory&& other) noexcept;
  GuardedMemory& operator=(GuardedMemory&&) = delete;
  void* data() const { return data_; }
  uint64_t size() const { return size_; }
  bool intact() const;     // the bytes between the end and the page are as they were
  void forbid() const;     // from now on, any access is a crash
  void read_only() const;  // from now on, any write is a crash

 private:
  void* base_ = nullptr;  // of the mapping
  uint64_t mapped_ = 0;
  void* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace quoin::conform
