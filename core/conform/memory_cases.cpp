// Group 11: a host without memory gets a status, and gets back what it lent.
#include <algorithm>

#include "conform/forked.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {
namespace {

// The life of one delegate on one host.
class Life {
 public:
  Life(const Subject& subject, const Job& job, uint64_t fail_allocation)
      : subject_(subject), job_(job), host_([&] {
          TestHost::Options options;
          options.fail_allocation = fail_allocation;
          return options;
        }()) {}

  // "" or what is wrong.
  std::string run() {
    std::string fault = stages();
    if (!fault.empty()) return fault;
    if (const auto faults = host_.faults(); !faults.empty()) return faults[0];
    if (host_.live_bytes() != 0) return fmt::format("{} bytes are not freed after close()", host_.live_bytes());
    return {};
  }
  uint64_t allocations() const { return host_.allocations(); }

 private:
  // A function that fails must say why: memory.
  static std::string checked(const char* function, const Answer& answer) {
    if (answer.ok() || answer.status == QUOIN_OUT_OF_MEMORY) return {};
    return fmt::format("{} answers {}, expected OK or OUT_OF_MEMORY", function, answer.text());
  }
  std::string stages() {
    const auto backend = subject_.open(&host_.table());
    if (!backend) return backend.error().code == Code::limit ? "" : "open() fails: " + backend.error().text();
    if (std::string fault = compile(*backend); !fault.empty()) return fault;
    return execute(**backend);
  }
  std::string compile(const std::shared_ptr<host::Backend>& backend) {
    lower::Claim claim = job_.claim;
    claim.backend = backend;
    lower::Options options;
    options.isa = host_.table().isa;
    lower::NamedData named;
    const auto compiled = lower::compile(job_.graph(), claim, options, named);
    if (compiled || compiled.error().code == Code::limit) return {};
    return "compile() fails: " + compiled.error().text();
  }
  std::string execute(const host::Backend& backend) {
    if (backend.table().executor == nullptr) return {};
    Delegate delegate(backend, job_.compiled.delegate);
    if (!delegate.init().ok()) return checked("init()", delegate.init());
    Buffers buffers(job_.graph(), job_.compiled, job_.inputs, Buffers::cache_line);
    if (const Answer planned = delegate.plan(buffers); !planned.ok()) return checked("plan()", planned);
    const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
    return checked("run()", delegate.run(buffers, scratch.data()));
  }

  const Subject& subject_;
  const Job& job_;
  TestHost host_;
};

std::string is_balanced(Workbench& bench, const Job& job) { return Life(bench.subject(), job, 0).run(); }

// Allocation k fails, with all after it, for every k there is; each in a process apart. `count`: how many there are.
std::string survives_failures(Workbench& bench, const Job& job, uint64_t& count) {
  Life ordinary(bench.subject(), job, 0);
  if (std::string fault = ordinary.run(); !fault.empty()) return fault;
  count = std::min<uint64_t>(ordinary.allocations(), bench.is_full() ? 100000 : 500);
  const auto faults = run_trials(count, {std::chrono::seconds(5), 0, 1},
                                 [&](size_t i) { return Life(bench.subject(), job, i + 1).run(); });
  return faults.empty() ? "" : fmt::format("allocation {} fails: {}", faults[0].trial + 1, faults[0].what);
}

Verdict failures(Workbench& bench) {
  uint64_t injected = 0;
  const Verdict verdict = for_each_job_here(bench.jobs(), [&](const Job& job) {
    uint64_t count = 0;
    std::string fault = survives_failures(bench, job, count);
    injected += count;
    return fault;
  });
  if (verdict.kind != Verdict::pass || injected != 0) return verdict;
  return skipped("the plugin takes no memory from the host");
}

}  // namespace

std::vector<Case> memory_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->compiler == nullptr)
    return {{"compiler", [] { return skipped("the plugin has no compiler that would make blobs"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  return {{"balance",
           [bench] { return for_each_job(bench->jobs(), [&](const Job& job) { return is_balanced(*bench, job); }); }},
          {"failures", [bench] { return failures(*bench); }}};
}

}  // namespace quoin::conform
