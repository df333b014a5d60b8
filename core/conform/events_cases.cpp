// Group 14: runs stop when they are told to, and say truthfully what they spend their time on.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "conform/compare.hpp"
#include "conform/rewire.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{50};     // from the cancel to the return
constexpr milliseconds kLongEnough{150};  // of a run, so that it has something left to do when it is cancelled

// A delegate with all that one run needs.
struct Ready {
  explicit Ready(const Job& job)
      : delegate(*job.claim.backend, job.compiled.delegate),
        buffers(job.graph(), job.compiled, job.inputs, Buffers::cache_line) {
    if (!delegate.init().ok()) {
      fault = "init() answers " + delegate.init().text();
      return;
    }
    if (const Answer planned = delegate.plan(buffers); !planned.ok()) fault = "plan() answers " + planned.text();
    scratch.emplace(delegate.need().scratch, delegate.alignment());
  }
  Answer run(const quoin_profiler* profiler = nullptr, const uint32_t* cancel = nullptr) {
    return delegate.run(buffers, scratch->data(), profiler, cancel);
  }
  Delegate delegate;
  Buffers buffers;
  std::optional<GuardedMemory> scratch;
  std::string fault;
};

std::string stops_at_once(const Job& job) {
  Ready ready(job);
  if (!ready.fault.empty()) return ready.fault;
  const uint32_t cancel = 1, go = 0;
  const Answer stopped = ready.run(nullptr, &cancel);
  if (stopped.status != QUOIN_CANCELLED)
    return fmt::format("run() with its cancel flag set answers {}, expected CANCELLED", stopped.text());
  const Answer again = ready.run(nullptr, &go);
  return again.ok() ? "" : "the run after a cancelled one answers " + again.text();
}

// -- a cancel while running

// Four layers of one kind; `size` is the edge of the images, or the number of rows.
struct Chain {
  const char* name;
  ir::Graph (*small)(uint64_t seed);
  int64_t first;  // size to begin with; doubled until a run takes long enough
  int64_t last;
};

ir::Graph convolutions(uint64_t seed) {
  GridBuilder b(seed);
  ir::ValueId x = b.input({1, 16, 8, 8});
  for (int i = 0; i < 4; ++i)
    x = b.add("aten.conv2d.default", {x, b.constant({16, 16, 3, 3}, -0.1f, 0.1f), b.constant({16})},
              {{"padding", std::vector<int64_t>{1, 1}}});
  return b.done({x}).value_or(ir::Graph());
}
ir::Graph layers(uint64_t seed) {
  GridBuilder b(seed);
  ir::ValueId x = b.input({8, 256});
  for (int i = 0; i < 4; ++i)
    x = b.add("aten.linear.default", {x, b.constant({256, 256}, -0.1f, 0.1f), b.constant({256})});
  return b.done({x}).value_or(ir::Graph());
}
ir::Graph sums(uint64_t seed) {
  GridBuilder b(seed);
  const ir::ValueId first = b.input({8, 256});
  ir::ValueId x = first;
  for (int i = 0; i < 8; ++i) x = b.add("aten.add.Tensor", {x, first});
  return b.done({x}).value_or(ir::Graph());
}
constexpr Chain kChains[] = {
    {"convolutions", convolutions, 128, 1024}, {"linear layers", layers, 1024, 65536}, {"sums", sums, 16384, 131072}};

std::vector<Shape> grown(const ir::Graph& graph, int64_t size) {
  std::vector<Shape> out = input_shapes(graph);
  for (Shape& dims : out) {
    if (dims.size() == 4) dims[2] = dims[3] = size;
    if (dims.size() == 2) dims[0] = size;
  }
  return out;
}

// The claim with the most nodes, on inputs of zeros; quantized as the small graph was. Errors: as make_jobs.
Result<std::optional<Job>> large_job(Workbench& bench, const Material& small, int64_t size) {
  QUOIN_TRY(const auto backend, bench.backend());
  auto material = std::make_shared<Material>();
  material->name = fmt::format("{} at size {}", small.name, size);
  QUOIN_TRY(material->graph, resized(small.graph, grown(small.graph, size)));
  for (ir::ValueId id = 0; id < material->graph.value_capacity(); ++id)
    material->values.emplace(id, Tensor(material->graph.value(id).type.dtype, material->graph.value(id).type.shape));
  QUOIN_TRY(Jobs made, make_jobs(material, backend, bench.host().isa));
  if (made.jobs.empty()) return std::optional<Job>();
  return std::optional<Job>(
      *std::ranges::max_element(made.jobs, {}, [](const Job& job) { return job.claim.nodes.size(); }));
}

milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
}

struct Stopped {
  Answer answer;
  milliseconds late{};  // from the cancel to the return
};

// A run that is cancelled a fifth of the way.
Stopped stop_between(Ready& ready, milliseconds whole) {
  uint32_t cancel = 0;
  std::chrono::steady_clock::time_point at;
  std::thread canceller([&] {
    std::this_thread::sleep_for(whole / 5);
    at = std::chrono::steady_clock::now();
    std::atomic_ref(cancel).store(1);
  });
  Answer answer = ready.run(nullptr, &cancel);
  canceller.join();
  return {std::move(answer), since(at)};
}

// The quickest of some tries counts: a machine with other work can hold up any one of them.
Verdict cancelled_run(Ready& ready, milliseconds whole, const std::string& name) {
  constexpr int kTries = 4;
  milliseconds least = milliseconds::max();
  for (int i = 0; i < kTries; ++i) {
    const auto [answer, late] = stop_between(ready, whole);
    if (answer.ok()) return failed(fmt::format("{}: a run of {} ms ignores its cancel flag", name, whole.count()));
    if (answer.status != QUOIN_CANCELLED)
      return failed(fmt::format("{}: run() answers {}, expected CANCELLED", name, answer.text()));
    if (late <= kPatience) return passed();
    least = std::min(least, late);
  }
  return failed(
      fmt::format("{}: run() returns {} ms after the cancel, {} allowed", name, least.count(), kPatience.count()));
}

// Grows the chain until a run takes long enough. nullopt: the plugin does not claim it.
std::optional<Verdict> cancel_chain(Workbench& bench, const Form& how, const Chain& chain) {
  const auto backend = bench.backend();
  if (!backend) return failed(backend.error().text());
  const auto small = make_material(how, chain.name, chain.small(bench.subject().seed()), *backend, bench.host(),
                                   bench.subject().seed());
  if (!small) return failed(small.error().text());
  if (how.integer && !(*small)->why_float.empty()) return std::nullopt;
  milliseconds took{};
  for (int64_t size = chain.first; size <= chain.last; size *= 2) {
    const auto job = large_job(bench, **small, size);
    if (!job) return failed(job.error().text());
    if (!*job || (*job)->claim.nodes.size() < 4) return std::nullopt;
    Ready ready(**job);
    if (!ready.fault.empty()) return failed(fmt::format("{}: {}", (*job)->name, ready.fault));
    const auto start = std::chrono::steady_clock::now();
    if (const Answer ran = ready.run(); !ran.ok())
      return failed(fmt::format("{}: run() answers {}", (*job)->name, ran.text()));
    took = since(start);
    if (took >= kLongEnough) return cancelled_run(ready, took, (*job)->name);
  }
  return skipped(fmt::format("the largest {} of the kit take {} ms only", chain.name, took.count()));
}

Verdict stops_in_between(Workbench& bench, const Form& how) {
  for (const Chain& chain : kChains)
    if (const auto verdict = cancel_chain(bench, how, chain)) return *verdict;
  return skipped("the plugin claims no chain of layers of the kit");
}

// -- the profiler

// Every event of one run, checked as it comes.
class Watch {
 public:
  explicit Watch(const Job& job, const quoin_host& host)
      : ids_(job.compiled.delegate.debug_ids.begin(), job.compiled.delegate.debug_ids.end()),
        host_(host),
        start_(host.now_ns(host.self)) {}

  quoin_profiler table() {
    return {sizeof(quoin_profiler),
            0,
            this,
            [](void* self, quoin_str name, uint64_t id) { return static_cast<Watch*>(self)->begin(name, id); },
            [](void* self, uint64_t token) { static_cast<Watch*>(self)->end(token); },
            [](void* self, quoin_str name, uint64_t id, uint64_t from, uint64_t to) {
              static_cast<Watch*>(self)->past(name, id, from, to);
            }};
  }
  std::string fault() const {
    if (!fault_.empty()) return fault_;
    size_t open = 0;
    for (const auto& [thread, tokens] : open_) open += tokens.size();
    return open == 0 ? "" : fmt::format("{} events that began did not end", open);
  }

 private:
  void wrong(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }
  void check(quoin_str name, uint64_t id) {
    if (name.data == nullptr || name.size == 0) wrong("an event without a name");
    if (id != 0 && !ids_.contains(id)) wrong(fmt::format("an event of node {}, which is not in the claim", id));
  }
  uint64_t begin(quoin_str name, uint64_t id) {
    const std::lock_guard lock(mutex_);
    check(name, id);
    open_[std::this_thread::get_id()].push_back(++tokens_);
    return tokens_;
  }
  void end(uint64_t token) {
    const std::lock_guard lock(mutex_);
    auto& open = open_[std::this_thread::get_id()];
    if (open.empty() || open.back() != token) return wrong("events end in another order than they began, or twice");
    open.pop_back();
  }
  void past(quoin_str name, uint64_t id, uint64_t from, uint64_t to) {
    const std::lock_guard lock(mutex_);
    check(name, id);
    if (from > to) wrong("a past event ends before it starts");
    if (from < last_) wrong("past events are not in the order of their starts");
    if (from < start_ || to > host_.now_ns(host_.self)) wrong("a past event lies outside of its run");
    last_ = from;
  }

  std::set<uint64_t> ids_;
  const quoin_host& host_;
  uint64_t start_, tokens_ = 0, last_ = 0;
  std::mutex mutex_;
  std::map<std::thread::id, std::vector<uint64_t>> open_;
  std::string fault_;
};

std::string profiles_truly(Workbench& bench, const Job& job) {
  Ready ready(job);
  if (!ready.fault.empty()) return ready.fault;
  for (int turn = 0; turn < 2; ++turn) {
    Watch watch(job, bench.host());
    const quoin_profiler profiler = watch.table();
    if (const Answer ran = ready.run(&profiler); !ran.ok()) return "run() with a profiler answers " + ran.text();
    if (std::string fault = watch.fault(); !fault.empty()) return fault;
  }
  const std::vector<Tensor> watched = ready.buffers.results();
  if (const Answer ran = ready.run(); !ran.ok()) return "run() without a profiler answers " + ran.text();
  const std::vector<Tensor> alone = ready.buffers.results();
  for (size_t i = 0; i < alone.size(); ++i)
    if (!same_bytes(watched[i], alone[i])) return fmt::format("output {} changes when a profiler watches", i);
  return {};
}

// A cancelled run must not leave events open, either.
std::string ends_events_when_stopped(Workbench& bench, const Job& job) {
  Ready ready(job);
  if (!ready.fault.empty()) return ready.fault;
  Watch watch(job, bench.host());
  const quoin_profiler profiler = watch.table();
  const uint32_t cancel = 1;
  (void)ready.run(&profiler, &cancel);
  return watch.fault();
}

}  // namespace

std::vector<Case> events_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->executor == nullptr || (*table)->compiler == nullptr)
    return {{"executor", [] { return skipped("the plugin has no compiler and executor"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  const auto add = [&](const char* name, std::string (*property)(Workbench&, const Job&)) {
    return Case{name,
                [=] { return for_each_job(bench->jobs(), [&](const Job& job) { return property(*bench, job); }); }};
  };
  std::vector<Case> out{
      {"cancelled-before", [bench] { return for_each_job(bench->jobs(), stops_at_once); }},
      add("profiler", profiles_truly),
      add("profiler-cancelled", ends_events_when_stopped),
  };
  for (const Form& how : forms(**table))
    out.push_back({"cancelled-within/" + how.name, [bench, how] { return stops_in_between(*bench, how); }});
  return out;
}

}  // namespace quoin::conform
