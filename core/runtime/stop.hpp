// Ends a run before its time: a word that another thread sets, and a deadline.
#pragma once

#include <quoin/abi.h>

#include "base/fault.hpp"

namespace quoin::runtime {

inline constexpr uint32_t kStopRequested = 1, kDeadlinePassed = 2;

// Looks at the clock between steps, and whenever a delegate reports an event: so a deadline ends the run inside a
// delegate, too, if the delegate reports its operations and reads quoin_run.cancel. Nothing here allocates.
class Stop {
 public:
  // `word` may be null; the deadline, where there is one (not 0), is by the host's clock and sets the word.
  // `profiler` (may be null) gets what delegates report.
  Stop(const quoin_host& host, uint32_t* word, uint64_t deadline_ns, const quoin_profiler* profiler);
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Errors: cancelled.
  bool check(Fault& fault);
  const uint32_t* word() const { return word_; }
  const quoin_profiler* profiler() const { return deadline_ == 0 ? inner_ : &table_; }

 private:
  void look_at_clock() noexcept;

  const quoin_host& host_;
  uint32_t own_ = 0;
  uint32_t* word_;  // null: nothing ends this run
  const uint64_t deadline_;
  const quoin_profiler* inner_;
  quoin_profiler table_{};
};

}  // namespace quoin::runtime
