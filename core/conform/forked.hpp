// Many trials of which any may crash or hang, in copies of this process.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace quoin::conform {

struct TrialFault {
  size_t trial;
  std::string what;  // what the trial said, or "killed by signal 11 (Segmentation fault)", "hangs", "ends the process"
};

struct TrialLimits {
  std::chrono::milliseconds each{2000};  // wall clock of one trial
  uint64_t memory = 0;                   // bytes of address space beyond what this process has; 0: no limit
  size_t faults = 3;                     // stop after so many
};

// Calls trial(0) .. trial(count - 1), each at most once; a copy of the process that ends is replaced by one that goes
// on behind the trial at fault. A trial returns what is wrong, or "". This process must have one thread only; nothing
// that a trial changes is seen here. Sanitizers need address space without limit, so under them there is none.
std::vector<TrialFault> run_trials(size_t count, const TrialLimits& limits,
                                   const std::function<std::string(size_t)>& trial);

// One trial without limit of memory: what is wrong, or "".
std::string run_apart(const std::function<std::string()>& trial,
                      std::chrono::milliseconds limit = std::chrono::seconds(10));

}  // namespace quoin::conform
