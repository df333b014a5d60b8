// Group 12: a plugin starts no thread, and its results do not depend on how many the host has.
#include <chrono>
#include <cstring>
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
    for (int turn = 0; turn < (workers == 1 ? 1 : 2); ++turn) {  // who takes which piece is chance
      const auto results = run_once(**backend, job.graph(), job.compiled, job.inputs);
      if (!results) return fmt::format("with {} workers: {}", workers, results.error().text());
      if (workers == 1) first = *results;
      for (size_t i = 0; i < first.size(); ++i)
        if (!same_bytes(first[i], (*results)[i]))
          return fmt::format("output {} with {} workers differs from that with one", i, workers);
    }
  }
  return {};
}

// The same numbers from the last to the first: legal wherever the others are.
Tensor reversed(const Tensor& tensor) {
  Tensor out = copy_of(tensor);
  const size_t width = bits(tensor.dtype()) / 8;
  if (width == 0) return out;
  const size_t count = tensor.bytes() / width;
  for (size_t i = 0; i < count; ++i)
    std::memcpy(static_cast<char*>(out.data()) + i * width,
                static_cast<const char*>(tensor.data()) + (count - 1 - i) * width, width);
  return out;
}

// One of two runs at once, with tensors and scratch memory of its own.
class Runner {
 public:
  Runner(const Job& job, std::vector<Tensor> inputs)
      : buffers_(job.graph(), job.compiled, inputs, Buffers::cache_line) {
    auto alone = run_once(*job.claim.backend, job.graph(), job.compiled, inputs);
    if (alone) expected_ = *std::move(alone);
    if (!alone) fault_ = alone.error().text();
  }
  void plan(Delegate& delegate) {
    if (const Answer planned = delegate.plan(buffers_); !planned.ok() && fault_.empty())
      fault_ = "plan() answers " + planned.text();
  }
  void run(const Delegate& delegate) {
    const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(15);
    for (int turn = 0; fault_.empty() && (turn < 3 || std::chrono::steady_clock::now() < end); ++turn) {
      buffers_.fill_outputs(turn);
      const Answer ran = delegate.run(buffers_, scratch.data());
      fault_ = ran.ok() ? difference() : "run() answers " + ran.text();
    }
  }
  const std::string& fault() const { return fault_; }

 private:
  std::string difference() const {
    const std::vector<Tensor> results = buffers_.results();
    for (size_t i = 0; i < results.size(); ++i)
      if (!same_bytes(expected_[i], results[i]))
        return fmt::format("output {} of a run differs while another one goes on", i);
    return {};
  }
  Buffers buffers_;
  std::vector<Tensor> expected_;
  std::string fault_;
};

std::string runs_at_once(const Subject&, const Job& job) {
  std::vector<Tensor> backwards;
  for (const Tensor& input : job.inputs) backwards.push_back(reversed(input));
  Runner first(job, job.inputs), second(job, backwards);
  Delegate delegate(*job.claim.backend, job.compiled.delegate);
  if (!delegate.init().ok()) return "init() answers " + delegate.init().text();
  first.plan(delegate);
  second.plan(delegate);
  std::thread other([&] { second.run(delegate); });
  first.run(delegate);
  other.join();
  return first.fault().empty() ? second.fault() : first.fault();
}

}  // namespace

std::vector<Case> threads_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->executor == nullptr || (*table)->compiler == nullptr)
    return {{"executor", [] { return skipped("the plugin has no compiler and executor"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  using Check = std::string (*)(const Subject&, const Job&);
  const auto on = [bench](const JobList& jobs, Check property) {
    return for_each_job(jobs, [&](const Job& job) { return property(bench->subject(), job); });
  };
  std::vector<Case> out{{"own-threads", [=] { return on(bench->jobs(), starts_no_thread); }},
                        {"workers", [=] {
                           const Verdict verdict = on(bench->large_jobs(), is_equal_on_workers);
                           return verdict.kind == Verdict::skip ? on(bench->jobs(), is_equal_on_workers) : verdict;
                         }}};
  if (((*table)->executor->flags & QUOIN_REENTRANT) != 0)
    out.push_back({"reentrant", [=] { return on(bench->jobs(), runs_at_once); }});
  else
    out.push_back({"reentrant", [] { return skipped("run() is not declared reentrant: the host serialises it"); }});
  return out;
}

}  // namespace quoin::conform
