// A host that can be older or newer than this one, run out of memory on request, and counts what a plugin does with it.
#pragma once

#include <quoin/abi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quoin::conform {

class TestHost {
 public:
  struct Options {
    uint32_t abi_major = QUOIN_ABI_MAJOR, abi_minor = QUOIN_ABI_MINOR;
    uint32_t struct_size = sizeof(quoin_host);  // what the table claims; larger ones are followed by zeros
    uint32_t workers = 1;                       // parallel_for hands its pieces to so many threads of its own
    uint64_t isa = 0;                           // QUOIN_ISA_* bits; 0: those of this machine
    uint64_t fail_allocation = 0;  // number, from 1, of the allocation that gives NULL, with all after it; 0: none
    bool guard_pages = false;      // every allocation ends at a page that may not be touched
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
  uint64_t allocations() const;                    // calls of alloc so far
  uint64_t live_bytes() const;                     // not yet freed
  const std::vector<std::string>& faults() const;  // wrong frees, alignments that are no power of two, calls after use
  const std::vector<Log>& logs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quoin::conform
