// A child process that reports on a pipe, in a process group of its own, so that whatever it starts ends with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin::host {

class Child {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kReport = 3;     // the descriptor that the child writes its report to
  static constexpr int kFirstLent = 4;  // lent descriptors follow from here

  struct Options {
    std::string program;                 // path
    std::vector<std::string> arguments;  // without the program's name
    std::vector<int> lent = {};          // descriptors of this process that the child gets, in this order
    int output = -1;                     // descriptor that takes its standard output and error; -1: discarded
  };
  // Standard input is empty, no signal is blocked. Errors (io): no pipe, cannot be started.
  static Result<Child> start(const Options& options);
  ~Child();  // kills what is left of the group
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  enum class Heard { bytes, end, nothing };  // end: nobody holds the pipe any more; nothing: not before the deadline
  Heard listen(std::string& report, Clock::time_point deadline);  // appends
  // Waits for the child to end, kills it at the deadline, and the rest of its group in any case. The status of
  // waitpid(2); nothing: it did not end in time. Once only.
  std::optional<int> finish(Clock::time_point deadline);

 private:
  Child(pid_t id, int report) : id_(id), report_(report) {}
  pid_t id_;  // -1: reaped
  int report_;
};

// "signal 11 (Segmentation fault)", "code 3"
std::string ending(int wait_status);

}  // namespace quoin::host
