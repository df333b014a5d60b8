// Group 16: the process is as before after every step of a plugin's life.
#include "conform/process_state.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {
namespace {

// A subject of its own, because loading is one of the steps. A step takes those before it, unwatched, where they were
// not taken yet: a case can run alone.
class Life {
 public:
  explicit Life(const Subject& subject)
      : path_(subject.path()), own_(std::make_unique<Subject>(path_, subject.profile(), subject.seed())) {}

  Verdict watch(size_t step) {
    for (; next_ < step; ++next_)
      if (const Status done = (this->*kSteps[next_].take)(); !done && done.error().code != Code::unsupported)
        return failed(done.error().text());
    if (next_ != step) return skipped("it was taken before");
    const ProcessState before = process_state(path_);
    const Status done = (this->*kSteps[next_++].take)();
    const std::string changed = difference(before, process_state(path_));
    if (!changed.empty()) return failed(changed);
    if (!done && done.error().code == Code::unsupported) return skipped(done.error().text());
    return done ? passed() : failed(done.error().text());
  }

  struct Step {
    const char* name;
    Status (Life::*take)();
  };
  static const Step kSteps[6];

 private:
  Status load() {
    const auto table = own_->table();
    return table ? Status{} : fail(table.error());
  }
  Status open() {
    bench_ = std::make_unique<Workbench>(*own_);
    const auto backend = bench_->backend();
    return backend ? Status{} : fail(backend.error());
  }
  Status compile() {  // annotates and partitions, too
    const auto jobs = bench_->jobs();
    return jobs ? Status{} : fail(jobs.error());
  }
  Status run() {
    QUOIN_TRY(const std::vector<Job>* jobs, bench_->jobs());
    QUOIN_TRY(const auto backend, bench_->backend());
    if (backend->table().executor == nullptr) return fail(Code::unsupported, "the plugin has no executor");
    for (const Job& job : *jobs)
      if (const auto ran = run_once(*backend, job.graph(), job.compiled, job.inputs); !ran) return fail(ran.error());
    return {};
  }
  Status close() {
    bench_ = nullptr;
    return {};
  }
  Status unload() {
    own_ = nullptr;
    return {};
  }

  std::string path_;
  std::unique_ptr<Subject> own_;
  std::unique_ptr<Workbench> bench_;
  size_t next_ = 0;
};

const Life::Step Life::kSteps[6] = {
    {"load", &Life::load}, {"open", &Life::open},   {"annotate-compile", &Life::compile},
    {"run", &Life::run},   {"close", &Life::close}, {"unload", &Life::unload}};

}  // namespace

std::vector<Case> process_cases(const Subject& subject) {
  const auto life = std::make_shared<Life>(subject);
  std::vector<Case> cases;
  for (size_t i = 0; i < std::size(Life::kSteps); ++i)
    cases.push_back({Life::kSteps[i].name, [life, i] { return life->watch(i); }});
  return cases;
}

}  // namespace quoin::conform
