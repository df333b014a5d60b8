#include "conform/process_state.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cfenv>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

extern char** environ;

namespace quoin::conform {
namespace {

namespace fs = std::filesystem;

// The flags that operations raised are no mode: only masks, rounding and denormals count.
void add_arithmetic(ProcessState& state) {
  state["rounding"] = fmt::to_string(std::fegetround());
#if defined(__x86_64__)
  constexpr unsigned kRaised = 0x3f;
  state["MXCSR"] = fmt::format("{:#x}", _mm_getcsr() & ~kRaised);
  uint16_t control = 0;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  state["x87 control word"] = fmt::format("{:#x}", control);
#elif defined(__aarch64__)
  uint64_t control = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  state["FPCR"] = fmt::format("{:#x}", control);
#endif
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

void add_signals(ProcessState& state) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (sigaction(signal, nullptr, &action) != 0) continue;
    const bool ours = (action.sa_flags & SA_SIGINFO) != 0;
    const void* handler =
        ours ? reinterpret_cast<const void*>(action.sa_sigaction) : reinterpret_cast<const void*>(action.sa_handler);
    state["handler of " + signal_name(signal)] = handler == reinterpret_cast<const void*>(SIG_DFL)   ? "default"
                                                 : handler == reinterpret_cast<const void*>(SIG_IGN) ? "ignored"
                                                                                                     : "a function";
    if (sigismember(&mask, signal) == 1) state[signal_name(signal)] = "blocked";
  }
}

// umask can only be read by setting it; the kernel tells it without that.
void add_umask(ProcessState& state) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Umask:")) state["umask"] = line.substr(line.find_first_not_of(" \t", 6));
}

void add_descriptors(ProcessState& state, const std::string& plugin) {
  struct stat library {};
  const bool known = stat(plugin.c_str(), &library) == 0;
  std::error_code ignore;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", ignore)) {
    const std::string number = entry.path().filename().string();
    struct stat info {};
    if (fstat(std::atoi(number.c_str()), &info) != 0) continue;
    if (known && info.st_dev == library.st_dev && info.st_ino == library.st_ino) continue;
    const std::string target = fs::read_symlink(entry.path(), ignore).string();
    if (target.starts_with("/proc/") && target.ends_with("/fd")) continue;  // this listing
    state["descriptor " + number] = target;
  }
}

// Standard output and error are files here; a pipe or a terminal has no size to compare.
void add_streams(ProcessState& state) {
  std::fflush(nullptr);
  for (const auto& [name, stream] : {std::pair("standard output", STDOUT_FILENO), {"standard error", STDERR_FILENO}}) {
    struct stat info {};
    if (fstat(stream, &info) == 0 && S_ISREG(info.st_mode)) state[name] = fmt::format("{} bytes", info.st_size);
  }
}

void add_process(ProcessState& state) {
  std::error_code ignore;
  const char* locale = std::setlocale(LC_ALL, nullptr);
  state["locale"] = locale == nullptr ? "" : locale;
  state["working directory"] = fs::current_path(ignore).string();
  state["priority"] = fmt::to_string(getpriority(PRIO_PROCESS, 0));
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) state["cores allowed"] = fmt::to_string(CPU_COUNT(&cores));
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const size_t equals = text.find('=');
    state["environment variable " + text.substr(0, equals)] =
        equals == std::string::npos ? "" : text.substr(equals + 1);
  }
}

}  // namespace

ProcessState process_state(const std::string& plugin) {
  ProcessState state;
  add_arithmetic(state);
  add_signals(state);
  add_umask(state);
  add_descriptors(state, plugin);
  add_streams(state);
  state["threads"] = fmt::to_string(thread_count());
  add_process(state);
  return state;
}

size_t thread_count() {
  std::error_code ignore;
  const fs::directory_iterator tasks("/proc/self/task", ignore);
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

std::string difference(const ProcessState& before, const ProcessState& after) {
  std::string out;
  const auto add = [&](const std::string& line) { out += (out.empty() ? "" : "; ") + line; };
  for (const auto& [name, value] : before) {
    const auto now = after.find(name);
    if (now == after.end()) add(fmt::format("{}: gone (was \"{}\")", name, value));
    if (now != after.end() && now->second != value)
      add(fmt::format("{}: \"{}\", then \"{}\"", name, value, now->second));
  }
  for (const auto& [name, value] : after)
    if (!before.contains(name)) add(fmt::format("{}: new (\"{}\")", name, value));
  return out;
}

}  // namespace quoin::conform
