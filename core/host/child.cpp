#include "host/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

extern char** environ;

namespace quoin::host {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

class Actions {
 public:
  Actions() { posix_spawn_file_actions_init(&value_); }
  ~Actions() { posix_spawn_file_actions_destroy(&value_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t* get() { return &value_; }

 private:
  posix_spawn_file_actions_t value_{};
};

class Attributes {
 public:
  Attributes() {
    posix_spawnattr_init(&value_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&value_, &none);
    posix_spawnattr_setflags(&value_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  }
  ~Attributes() { posix_spawnattr_destroy(&value_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &value_; }

 private:
  posix_spawnattr_t value_{};
};

// Milliseconds until then, rounded up, for poll.
int left_until(Child::Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Child::Clock::now()).count();
  return static_cast<int>(std::clamp<long>(left, 0, 1'000'000));
}

// Whether `descriptor` has something to read (or has ended) before the deadline.
bool ready(int descriptor, Child::Clock::time_point deadline) {
  for (;;) {
    pollfd wait{descriptor, POLLIN, 0};
    const int left = left_until(deadline);
    const int got = poll(&wait, 1, left);
    if (got > 0) return true;
    if (got == 0 && left_until(deadline) == 0) return false;
    if (got < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Result<Child> Child::start(const Options& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(Code::io, "no pipe to a child process: {}", std::strerror(errno));
  Descriptor report(ends[0]);
  const Descriptor pipe_in(ends[1]);
  // Copies above all those that the child expects, so that handing over one does not close another.
  const int above = kFirstLent + static_cast<int>(options.lent.size());
  std::vector<Descriptor> given;
  given.emplace_back(fcntl(pipe_in.get(), F_DUPFD_CLOEXEC, above));
  for (const int lent : options.lent) given.emplace_back(fcntl(lent, F_DUPFD_CLOEXEC, above));
  if (std::ranges::any_of(given, [](const Descriptor& d) { return d.get() < 0; }))
    return fail(Code::io, "no descriptor for a child process: {}", std::strerror(errno));

  Actions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (options.output < 0) posix_spawn_file_actions_addopen(actions.get(), stream, "/dev/null", O_WRONLY, 0);
    if (options.output >= 0) posix_spawn_file_actions_adddup2(actions.get(), options.output, stream);
  }
  for (size_t i = 0; i < given.size(); ++i)
    posix_spawn_file_actions_adddup2(actions.get(), given[i].get(), kReport + static_cast<int>(i));

  std::vector<std::string> words = {std::filesystem::path(options.program).filename().string()};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Attributes attributes;
  pid_t id = -1;
  const int failed = posix_spawn(&id, options.program.c_str(), actions.get(), attributes.get(), argv.data(), environ);
  if (failed != 0) return fail(Code::io, "{} cannot be started: {}", options.program, std::strerror(failed));
  return Child(id, report.release());
}

Child::Child(Child&& other) noexcept : id_(std::exchange(other.id_, -1)), report_(std::exchange(other.report_, -1)) {}

Child::~Child() {
  if (id_ > 0) finish(Clock::now());
  if (report_ >= 0) close(report_);
}

Child::Heard Child::listen(std::string& report, Clock::time_point deadline) {
  for (;;) {
    if (!ready(report_, deadline)) return Heard::nothing;
    char block[4096];
    const ssize_t got = read(report_, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Heard::end;
    report.append(block, static_cast<size_t>(got));
    return Heard::bytes;
  }
}

std::optional<int> Child::finish(Clock::time_point deadline) {
  const Descriptor watch(static_cast<int>(syscall(SYS_pidfd_open, id_, 0)));
  const bool ended = watch.get() >= 0 && ready(watch.get(), deadline);
  if (!ended) kill(id_, SIGKILL);
  // The group is killed while the child is not yet reaped: until then its number cannot belong to others.
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  kill(-id_, SIGKILL);
  int status = 0;
  while (waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  return ended ? std::optional(status) : std::nullopt;
}

std::string ending(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return fmt::format("code {}", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  return fmt::format("signal {} ({})", signal, strsignal(signal));
}

}  // namespace quoin::host
