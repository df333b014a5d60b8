// Group 12: a plugin starts no thread, and its results do not depend on how many the host has.
#include <filesystem>
#include <thread>

#include "conform/compare.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {
namespace {

size_t threads_of_this_process() {
  std::error_code error;
  size_t count = 0;
  for (auto at = std::filesystem::directory_iterator("/proc/self/task", error); !error && at != end(at);
       at.increment(error))
    ++count;
  return count;
}

// Every function of the executor, and a look at the threads behind each.
std::string starts_no_thread(const Subject& subject, const Job& job) {
  const size_t before = threads_of_this_process();
  const auto more = [&](const char* function) {
    const size_t now = threads_of_this_process();
    return now > before ? fmt::format("{} leaves {} threads more than there were", function, now - before) : "";
  };
  const auto backend = subject.open();
  if (!backend) return backend.error().text();
  if (std::string found = more("open()"); !found.empty()) return found;
  Delegate delegate(**backend, job.compiled.delegate);
  if (!delegate.init().ok()) return "init() answers " + delegate.init().text();
  if (std::string found = more("init()"); !found.empty()) return found;
  const Buffers buffers(job.graph(), job.compiled, job.inputs, Buffers::cache_line);
  if (const Answer planned = delegate.plan(buffers); !planned.ok()) return "plan() answers " + planned.text();
  const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
  if (const Answer ran = delegate.run(buffers, scratch.data()); !ran.ok()) return "run() answers " + ran.text();
  return more("run()");
}

std::string is_equal_on_workers(const Subject& subject, const Job& job) {
  std::vector<Tensor> first;
  for (const uint32_t workers : {1u, 2u, 7u}) {
    TestHost::Options options;
    options.workers = workers;
    const TestHost host(options);
    const auto backend = subject.open(&host.table());
    if (!backend) return backend.error().text();
    const auto results = run_once(**backend, job.graph(), job.compiled, job.inputs);
    if (!results) return fmt::format("with {} workers: {}", workers, results.error().text());
    if (workers == 1) first = *results;
    for (size_t i = 0; i < first.size(); ++i)
      if (!same_bytes(first[i], (*results)[i]))
        return fmt::format("output {} with {} workers differs from that with one", i, workers);
  }
  return {};
}

// Two runs of one delegate at once, each with its own tensors and scratch memory.
std::string runs_at_once(const Job& job) {
  Delegate delegate(*job.claim.backend, job.compiled.delegate);
  if (!delegate.init().ok()) return "init() answers " + delegate.init().text();
  const auto expected = run_once(*job.claim.backend, job.graph(), job.compiled, job.inputs);
  if (!expected) return expected.error().text();
  std::string faults[2];
  std::vector<Buffers> buffers;
  for (int i = 0; i < 2; ++i) buffers.emplace_back(job.graph(), job.compiled, job.inputs, Buffers::cache_line);
  for (const Buffers& own : buffers)
    if (const Answer planned = delegate.plan(own); !planned.ok()) return "plan() answers " + planned.text();
  const auto work = [&](size_t index) {
    const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
    for (int turn = 0; turn < 50 && faults[index].empty(); ++turn) {
      buffers[index].fill_outputs(turn);
      if (const Answer ran = delegate.run(buffers[index], scratch.data()); !ran.ok())
        faults[index] = "run() answers " + ran.text();
      const std::vector<Tensor> results = buffers[index].results();
      for (size_t i = 0; i < results.size(); ++i)
        if (!same_bytes((*expected)[i], results[i]))
          faults[index] = fmt::format("output {} of two runs at once differs from that of one alone", i);
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  return faults[0].empty() ? faults[1] : faults[0];
}

}  // namespace

std::vector<Case> threads_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return {{"load", [why = table.error().text()] { return failed(why); }}};
  if ((*table)->executor == nullptr || (*table)->compiler == nullptr)
    return {{"executor", [] { return skipped("the plugin has no compiler and executor"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  const auto add = [&](const char* name, auto property) {
    return Case{name, [bench, property] {
                  return for_each_job(*bench, [&](const Job& job) { return property(bench->subject(), job); });
                }};
  };
  std::vector<Case> out{add("own-threads", starts_no_thread), add("workers", is_equal_on_workers)};
  if (((*table)->executor->flags & QUOIN_REENTRANT) != 0)
    out.push_back(add("reentrant", [](const Subject&, const Job& job) { return runs_at_once(job); }));
  else
    out.push_back({"reentrant", [] { return skipped("run() is not declared reentrant: the host serialises it"); }});
  return out;
}

}  // namespace quoin::conform
