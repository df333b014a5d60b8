// What the host lends to plugins and kernels: threads, memory, log, clock, the allowed instruction sets.
#pragma once

#include <quoin/abi.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin::host {

// QUOIN_ISA_* bits of this CPU and OS, lowered by the environment variable QUOIN_ISA_MAX (scalar, avx2, avx512,
// avx512vnni, amx; ordered). Errors (usage): an unknown name there.
Result<uint64_t> detect_isa();
std::string isa_name(uint64_t isa);  // the highest tier in words: "avx512vnni"
Result<uint64_t> parse_isa(std::string_view name);  // all bits up to that tier

using LogSink = std::function<void(int level, std::string_view text)>;

// Owns the only thread pool of the process's work (pthreadpool) and the quoin_host table handed to plugins.
// Thread safe. Must outlive every backend, kernel state and program that got table().
class Services {
 public:
  struct Options {
    uint32_t threads = 1;  // 0: all cores
    uint64_t isa = 0;      // from detect_isa()
    LogSink log;           // empty: discard
  };
  explicit Services(Options options);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;
  const quoin_host& table() const { return table_; }

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
  quoin_host table_{};
};

}  // namespace quoin::host
