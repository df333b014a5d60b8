#include "conform/forked.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>

namespace quoin::conform {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr size_t kMaxText = 1024;
constexpr int kFaultExit = 77;  // the text says what

// What a copy of the process tells the first; in memory that both see.
struct Board {
  volatile size_t trial;
  size_t length;
  char text[kMaxText];
};

uint64_t address_space() {
  std::ifstream in("/proc/self/statm");
  uint64_t pages = 0;
  in >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void limit_memory(uint64_t extra) {
  if (extra == 0 || kSanitized) return;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, address_space() + extra);
  setrlimit(RLIMIT_AS, &limit);
}

// The default action of SIGALRM ends the process.
void arm(std::chrono::milliseconds limit) {
  const itimerval timer{{}, {limit.count() / 1000, (limit.count() % 1000) * 1000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

std::string guarded(const std::function<std::string(size_t)>& trial, size_t index) {
  try {
    return trial(index);
  } catch (const std::bad_alloc&) {
    return "out of memory outside of the plugin's own functions";
  } catch (const std::exception& e) {
    return fmt::format("an exception escaped: {}", e.what());
  }
}

[[noreturn]] void work(Board& board, size_t first, size_t count, const TrialLimits& limits,
                       const std::function<std::string(size_t)>& trial) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::signal(SIGALRM, SIG_DFL);
  limit_memory(limits.memory);
  for (size_t i = first; i < count; ++i) {
    board.trial = i;
    arm(limits.each);
    const std::string fault = guarded(trial, i);
    if (fault.empty()) continue;
    board.length = std::min(fault.size(), kMaxText);
    std::memcpy(board.text, fault.data(), board.length);
    _exit(kFaultExit);
  }
  _exit(0);
}

std::string ending(int status, const Board& board, const TrialLimits& limits) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kFaultExit) return {board.text, board.length};
  if (WIFEXITED(status)) return fmt::format("ends the process with status {}", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGALRM) return fmt::format("does not come back within {} ms", limits.each.count());
  return fmt::format("killed by signal {} ({})", signal, strsignal(signal));
}

}  // namespace

std::vector<TrialFault> run_trials(size_t count, const TrialLimits& limits,
                                   const std::function<std::string(size_t)>& trial) {
  std::vector<TrialFault> faults;
  void* const shared = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return {{0, "no memory for the trials"}};
  Board& board = *new (shared) Board{};
  for (size_t first = 0; first < count && faults.size() < limits.faults; first = board.trial + 1) {
    board.trial = first;
    const pid_t child = fork();
    if (child == 0) work(board, first, count, limits, trial);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
      faults.push_back({first, "no process for the trials"});
      break;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    faults.push_back({board.trial, ending(status, board, limits)});
  }
  munmap(shared, sizeof(Board));
  return faults;
}

std::string run_apart(const std::function<std::string()>& trial, std::chrono::milliseconds limit) {
  const auto faults = run_trials(1, {limit, 0, 1}, [&](size_t) { return trial(); });
  return faults.empty() ? std::string() : faults[0].what;
}

}  // namespace quoin::conform
