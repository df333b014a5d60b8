#include "host/probe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/file.hpp"
#include "base/text.hpp"
#include "host/digest.hpp"
#include "host/probe_answer.hpp"
#include "host/search.hpp"

extern char** environ;

namespace quoin::host {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kMaxAnswer = 8192;

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() = default;
  ~Pipe() { close_end(0), close_end(1); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int i) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
};

// Where a file that passed is remembered, or nothing where it cannot be.
std::optional<std::string> passed_mark(const PluginFile& file, const quoin_host& host, const std::string& folder) {
  if (folder.empty()) return std::nullopt;
  const auto digest = quick_digest(file);
  if (!digest) return std::nullopt;
  return fmt::format("{}/{}-{}-{}.{}-{:x}", folder, *digest, QUOIN_VERSION, host.abi_major, host.abi_minor, host.isa);
}

// A copy of a descriptor above those that the child expects, so that handing over one does not close another.
class Lent {
 public:
  explicit Lent(int descriptor) : value_(fcntl(descriptor, F_DUPFD_CLOEXEC, kPluginDescriptor + 1)) {}
  ~Lent() {
    if (value_ >= 0) close(value_);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

Result<pid_t> start(const PluginFile& file, const quoin_host& host, const std::string& helper, int answer_end) {
  const Lent plugin(file.descriptor()), answer(answer_end);
  if (plugin.get() < 0 || answer.get() < 0)
    return fail(Code::io, "no descriptor for a trial process: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, answer.get(), kAnswerDescriptor);
  posix_spawn_file_actions_adddup2(&actions, plugin.get(), kPluginDescriptor);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // a group of its own, to be killed as a whole
  std::string arguments[] = {"quoin-probe", file.path(), fmt::format("{:x}", host.isa)};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  pid_t child = -1;
  const int failed = posix_spawn(&child, helper.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return fail(Code::io, "{} cannot be started: {}", helper, std::strerror(failed));
  return child;
}

// What the child writes until it closes its end; nothing when it does not do so in time.
std::optional<std::string> listen(int descriptor, Clock::time_point deadline) {
  std::string answer;
  char block[1024];
  while (answer.size() < kMaxAnswer) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd wait{descriptor, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    const ssize_t got = read(descriptor, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(block, static_cast<size_t>(got));
  }
  return answer;
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Status verdict(const std::optional<std::string>& answer, int status, std::chrono::milliseconds timeout) {
  const std::string hint = "the plugin is broken; report it to its author, or remove the file";
  if (!answer)
    return fail(
        Error{Code::plugin, fmt::format("did not load within {} ms in a trial process", timeout.count()), {}, hint});
  if (WIFSIGNALED(status))
    return fail(Error{Code::plugin,
                      fmt::format("crashed while it was loaded in a trial process: signal {} ({})", WTERMSIG(status),
                                  strsignal(WTERMSIG(status))),
                      {},
                      hint});
  if (auto told = read_answer(*answer)) return *told;
  return fail(Error{Code::plugin,
                    fmt::format("ended the trial process it was loaded in, with code {}", WEXITSTATUS(status)),
                    {},
                    hint});
}

std::string cache_folder() {
  if (getauxval(AT_SECURE) != 0) return {};
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/quoin/probe";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.cache/quoin/probe";
  return {};
}

// Remembering is a convenience: where it fails, the next process probes again.
void remember(const std::string& mark) {
  std::error_code failed;
  fs::create_directories(fs::path(mark).parent_path(), failed);
  if (!failed) (void)write_file(mark, {});
}

}  // namespace

ProbeOptions default_probe() { return {find_helper("quoin-probe", "core/host"), cache_folder()}; }

Status probe(const PluginFile& file, const quoin_host& host, const ProbeOptions& options) {
  const auto mark = passed_mark(file, host, options.cache);
  if (mark && access(mark->c_str(), F_OK) == 0) return {};
  Pipe pipe;
  if (pipe2(pipe.ends, O_CLOEXEC) != 0) return fail(Code::io, "no pipe to a trial process: {}", std::strerror(errno));
  const auto deadline = Clock::now() + options.timeout;
  QUOIN_TRY(const pid_t child, start(file, host, options.helper, pipe.ends[1]));
  pipe.close_end(1);
  const auto answer = listen(pipe.ends[0], deadline);
  if (!answer) kill(-child, SIGKILL);
  QUOIN_CHECK(verdict(answer, wait_for(child), options.timeout));
  if (mark) remember(*mark);
  return {};
}

}  // namespace quoin::host
