// What the host lends to plugins and kernels: threads, memory, log, clock, the allowed instruction sets.
#pragma once

#include <quoin/abi.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin::host {

// Instruction set tiers, lowest first: scalar, avx2, avxvnni, avx512, avx512vnni, amx. A tier is a chain of QUOIN_ISA_*
// bits (amx = AVX2, AVX512, AVX512_VNNI, AMX_INT8); avxvnni stands beside the chain: AVX2 and AVX_VNNI only.

// QUOIN_ISA_* bits that this CPU and OS offer, lowered to a tier by the environment variable QUOIN_ISA_MAX (it never
// raises). Asks the kernel once for permission to use AMX tiles. Errors (usage): an unknown name in QUOIN_ISA_MAX.
Result<uint64_t> detect_isa();
uint64_t allowed_isa();                             // the same where there is nobody to tell: none for an unknown name
const char* isa_tier(uint64_t isa);                 // the highest tier in words: "avx512vnni"
std::string isa_name(uint64_t isa);                 // the same
Result<uint64_t> parse_isa(std::string_view name);  // the bits of a tier. Errors (usage): unknown name, with the list
std::vector<std::string> isa_tiers();               // their names, lowest first

using LogSink = std::function<void(int level, std::string_view text)>;

// Owns the only threads of the process's work and the quoin_host table handed to plugins.
// Thread safe. Must outlive every backend, kernel state and program that got table().
//
// parallel_for: pieces are handed out dynamically, each of exactly `grain` items but the last. One piece [0, count)
// runs on the calling thread when there is one worker, one piece, or when called from inside a piece. fn must not
// throw. Two threads may call it at once; their calls take turns. No allocation.
class Services {
 public:
  struct Options {
    uint32_t threads = 1;  // 0: all cores; at most 256
    uint64_t isa = 0;      // from detect_isa()
    LogSink log;           // empty: discard. Called by one thread at a time
  };
  explicit Services(Options options);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;
  const quoin_host& table() const { return table_; }
  // One core for each thread, the calling one included: ThreadPool::pin().
  bool pin_threads();

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
  quoin_host table_{};
};

// The same services with one worker, the calling thread: for work that is shared out among threads as a whole.
quoin_host on_one_thread(const quoin_host& host);

}  // namespace quoin::host
