#include "host/probe.hpp"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "host/child.hpp"
#include "host/digest.hpp"
#include "host/probe_answer.hpp"
#include "host/search.hpp"

namespace quoin::host {
namespace {

namespace fs = std::filesystem;
using Clock = Child::Clock;

constexpr size_t kMaxAnswer = 8192;

// Where a file that passed is remembered, or nothing where it cannot be.
std::optional<std::string> passed_mark(const PluginFile& file, const quoin_host& host, const std::string& folder) {
  if (folder.empty()) return std::nullopt;
  const auto digest = quick_digest(file);
  if (!digest) return std::nullopt;
  return fmt::format("{}/{}-{}-{}.{}-{:x}", folder, *digest, QUOIN_VERSION, host.abi_major, host.abi_minor, host.isa);
}

// What the child writes until it closes its end; nothing when it does not do so in time.
std::optional<std::string> listen(Child& child, Clock::time_point deadline) {
  std::string answer;
  while (answer.size() < kMaxAnswer) {
    const auto heard = child.listen(answer, deadline);
    if (heard == Child::Heard::nothing) return std::nullopt;
    if (heard == Child::Heard::end) break;
  }
  return answer;
}

Status verdict(const std::optional<std::string>& answer, std::optional<int> status, std::chrono::milliseconds timeout) {
  const auto broken = [](std::string what) {
    return fail(
        Error{Code::plugin, std::move(what), {}, "the plugin is broken; report it to its author, or remove the file"});
  };
  if (!answer || !status) return broken(fmt::format("did not load within {} ms in a trial process", timeout.count()));
  if (WIFSIGNALED(*status)) return broken("crashed while it was loaded in a trial process: " + ending(*status));
  if (auto told = read_answer(*answer)) return *told;
  return broken("ended the trial process it was loaded in, with " + ending(*status));
}

std::string cache_folder() {
  if (getauxval(AT_SECURE) != 0) return {};
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/quoin/probe";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.cache/quoin/probe";
  return {};
}

// Remembering is a convenience: where it fails, the next process probes again. The name says it all, so the file is
// empty and need not reach the disk.
void remember(const std::string& mark) {
  std::error_code failed;
  fs::create_directories(fs::path(mark).parent_path(), failed);
  const int made = failed ? -1 : open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (made >= 0) close(made);
}

}  // namespace

ProbeOptions default_probe() { return {find_helper("quoin-probe", "core/host"), cache_folder()}; }

Status probe(const PluginFile& file, const quoin_host& host, const ProbeOptions& options) {
  const auto mark = passed_mark(file, host, options.cache);
  if (mark && access(mark->c_str(), F_OK) == 0) return {};
  const auto deadline = Clock::now() + options.timeout;
  QUOIN_TRY(Child child,
            Child::start({options.helper, {file.path(), fmt::format("{:x}", host.isa)}, {file.descriptor()}}));
  const auto answer = listen(child, deadline);
  QUOIN_CHECK(verdict(answer, child.finish(answer ? deadline : Clock::now()), options.timeout));
  if (mark) remember(*mark);
  return {};
}

}  // namespace quoin::host
