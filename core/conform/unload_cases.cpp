// Group 15: whatever a plugin did, it can be taken out of the process again, and nothing stays.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "conform/process_state.hpp"
#include "conform/workbench.hpp"
#include "host/child.hpp"
#include "host/loader.hpp"

namespace quoin::conform {
namespace {

constexpr uint32_t kQuickCycles = 30, kFullCycles = 210;  // multiples of kSpans
constexpr uint32_t kSpans = 6;                            // of cycles, with a look at the heap after each
constexpr uint64_t kAllowedPerCycle = 48;  // bytes of heap: the dynamic loader's own growth is below that

uint32_t cycles(const Subject& subject) { return subject.profile() == Profile::full ? kFullCycles : kQuickCycles; }

uint64_t heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The least that a span left behind, the first not counted. malloc keeps a few freed chunks of every size as if they
// were in use, and so does the dynamic loader: that happens in some of the spans, a leak in all of them.
uint64_t steady_growth(const std::array<uint64_t, kSpans>& heap) {
  uint64_t least = UINT64_MAX;
  for (size_t i = 1; i < heap.size(); ++i) least = std::min(least, heap[i] - std::min(heap[i], heap[i - 1]));
  return least;
}

// What is compiled once, and needs nothing of the plugin in memory.
std::vector<Job> jobs_of(const Subject& subject) {
  const Subject once(subject.path(), subject.profile(), subject.seed());
  Workbench bench(once);
  const auto found = bench.jobs();
  if (!found) return {};
  std::vector<Job> jobs((*found)->begin(), (*found)->begin() + std::min<ptrdiff_t>(2, std::ssize(**found)));
  for (Job& job : jobs) job.claim.backend = nullptr;
  return jobs;
}

// Load, open, run, close, unload.
Status cycle(const Subject& subject, const std::vector<Job>& jobs) {
  const quoin_host& host = subject.services().table();
  QUOIN_TRY(host::Library library, host::load_library(subject.path(), host));
  {
    QUOIN_TRY(const auto backend, host::Backend::open(library.table, library.keep, host));
    for (const Job& job : jobs) {
      if (backend->table().executor == nullptr) break;
      const auto ran = run_once(*backend, job.graph(), job.compiled, job.inputs);
      if (!ran) return fail(ran.error());
    }
  }
  return host::unload_library(std::move(library));
}

Verdict repeated(const Subject& subject, bool run) {
  const std::vector<Job> jobs = run ? jobs_of(subject) : std::vector<Job>();
  if (run && jobs.empty()) return skipped("the plugin compiles nothing of the generated graphs");
  const size_t threads = thread_count();
  const uint32_t count = cycles(subject);
  const uint32_t span = count / kSpans;
  std::array<uint64_t, kSpans> heap{};
  for (uint32_t i = 0; i < count; ++i) {
    if (const Status done = cycle(subject, jobs); !done)
      return failed(fmt::format("cycle {} of {}: {}", i + 1, count, done.error().text()));
    if ((i + 1) % span == 0) heap[i / span] = heap_in_use();
  }
  const uint64_t lost = steady_growth(heap) / span;
  if (lost > kAllowedPerCycle) return failed(fmt::format("every cycle leaves {} bytes of heap behind", lost));
  if (const size_t left = thread_count(); left != threads)
    return failed(fmt::format("{} threads before, {} after it was unloaded", threads, left));
  return passed(fmt::format("{} cycles, {} bytes of heap lost in each", count, lost));
}

// A process that ends with everything open: destructors of the plugin's static objects must bear that.
Verdict exits(const Subject& subject, bool run) {
  const std::vector<Job> jobs = run ? jobs_of(subject) : std::vector<Job>();
  if (run && jobs.empty()) return skipped("the plugin compiles nothing of the generated graphs");
  const pid_t child = fork();
  if (child < 0) return skipped("no child process could be started");
  if (child == 0) {
    static auto backend = subject.open();  // static: nobody closes it before the process is at its end
    if (!backend) std::exit(1);
    static std::vector<Delegate*> alive;
    if (run && (*backend)->table().executor != nullptr)
      alive.push_back(new Delegate(**backend, jobs.front().compiled.delegate));
    std::exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? passed() : failed("a process that ends with an open backend ends with " + host::ending(status));
}

}  // namespace

std::vector<Case> unload_cases(const Subject& subject) {
  return {{"load-open-close-unload", [&] { return repeated(subject, false); }},
          {"load-open-run-close-unload", [&] { return repeated(subject, true); }},
          {"exit-with-open-backend", [&] { return exits(subject, false); }},
          {"exit-with-live-delegate", [&] { return exits(subject, true); }}};
}

}  // namespace quoin::conform
