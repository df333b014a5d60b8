#include "cli/graphviz.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace quoin::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A file without a name, in memory. The child reads and writes such files, so no pipe can fill up and block it.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : descriptor_(memfd_create(name, MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int descriptor() const { return descriptor_; }

  Status fill(const std::string& text) const {
    for (size_t done = 0; done < text.size();) {
      const ssize_t count = pwrite(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return fail(Code::io, "cannot hand the graph over: {}", std::strerror(errno));
      done += static_cast<size_t>(count);
    }
    return {};
  }
  std::string content() const {
    std::string out;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t count = pread(descriptor_, buffer.data(), buffer.size(), static_cast<off_t>(out.size()));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return out;
      out.append(buffer.data(), static_cast<size_t>(count));
    }
  }

 private:
  int descriptor_;
};

// 0 or an errno. The three files become the child's standard streams.
int spawn(pid_t& child, const MemoryFile& in, const MemoryFile& out, const MemoryFile& error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.descriptor(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, error.descriptor(), STDERR_FILENO);
  std::string program = "dot", format = "-Tsvg";
  std::array<char*, 3> argv{program.data(), format.data(), nullptr};
  const int failed = posix_spawnp(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

// The child's exit status as waitpid gives it. Errors (limit): it took too long and was killed.
Result<int> wait_for(pid_t child, std::chrono::seconds patience) {
  const Clock::time_point end = Clock::now() + patience;
  int status = 0;
  for (;;) {
    const pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child) return status;
    if (done < 0 && errno != EINTR) return fail(Code::io, "cannot wait for dot: {}", std::strerror(errno));
    if (Clock::now() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return fail(Code::limit, "Graphviz took longer than {} s to draw the graph", patience.count())
      .at("dot")
      .hint("write --dot FILE and draw it apart, for example with sfdp");
}

}  // namespace

Result<std::string> to_svg(const std::string& dot, std::chrono::seconds patience) {
  const MemoryFile in("graph.dot"), out("graph.svg"), error("graph.log");
  if (in.descriptor() < 0 || out.descriptor() < 0 || error.descriptor() < 0)
    return fail(Code::io, "cannot make a file in memory: {}", std::strerror(errno));
  QUOIN_CHECK(in.fill(dot));
  pid_t child = 0;
  if (const int failed = spawn(child, in, out, error); failed == ENOENT)
    return fail(Code::not_found, "the program dot of Graphviz is not installed")
        .at("--svg")
        .hint("install the Debian package graphviz, or write --dot FILE and draw it elsewhere");
  else if (failed != 0)
    return fail(Code::io, "cannot start dot: {}", std::strerror(failed)).at("--svg");
  QUOIN_TRY(const int status, wait_for(child, patience));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out.content();
  const std::string words = error.content();
  const std::string how = WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                            : fmt::format("signal {}", WTERMSIG(status));
  return fail(Code::io, "dot failed ({}): {}", how, words.substr(0, words.find('\n'))).at("--svg");
}

}  // namespace quoin::cli
