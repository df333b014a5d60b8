#include <atomic>

#include "base/guard.hpp"
#include "host/services.hpp"
#include "quantize/calibration.hpp"
#include "quantize/feeds.hpp"

namespace quoin::quantize {
namespace {

// Lends the host to the observers; takes it back at the end, since it may live shorter than they do.
class Lend {
 public:
  Lend(Prepared& prepared, const quoin_host& host) : prepared_(prepared) { set(&host); }
  ~Lend() { set(nullptr); }
  Lend(const Lend&) = delete;

 private:
  void set(const quoin_host* host) {
    for (Group& group : prepared_.groups)
      if (group.observer) group.observer->use(host);
  }
  Prepared& prepared_;
};

// An observer that keeps what it sees would grow with the samples.
Status check_streaming(const ir::Graph& graph, const Prepared& prepared) {
  for (const Group& group : prepared.groups) {
    if (!group.observer || !group.observer->keeps_tensors()) continue;
    for (const ir::Place& place : group.places)
      if (!graph.is_constant(value_at(graph, place)))
        return fail(Code::recipe, "observer {} with more than one scale is for weights only", group.spec.observer)
            .at("{}", describe(graph, place))
            .hint("use minmax");
  }
  return {};
}

// Samples under way at once. Each has activations of its own, and packed weights that are about as large as the
// constants; a model that is too large for that takes one sample at a time, on all threads.
size_t lanes_of(const ir::Graph& graph, uint64_t samples, const quoin_host& host) {
  constexpr uint64_t kMemory = uint64_t{128} << 20;
  uint64_t bytes = 1;
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.is_constant(id)) bytes += graph.value(id).constant->bytes();
  return static_cast<size_t>(
      std::max<uint64_t>(1, std::min({uint64_t{host.workers(host.self)}, samples, kMemory / bytes})));
}

// Runs samples through the graph in lanes, one thread each, that take the next sample when they are done with one.
class Lanes {
 public:
  Lanes(const data::Dataset& dataset, Feeds& feeds, Progress* progress)
      : dataset_(dataset), feeds_(feeds), progress_(progress) {}

  Status run(const ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host, size_t lanes,
             const quoin_host& lane_host) {
    for (size_t i = 0; i < lanes; ++i) {
      QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels, lane_host));
      interpreters_.push_back(std::move(interpreter));
    }
    if (lanes == 1) {
      lane(0);
    } else {
      const auto call = [](void* self, uint64_t begin, uint64_t end, uint32_t) {
        for (uint64_t i = begin; i < end; ++i) static_cast<Lanes*>(self)->lane(i);
      };
      host.parallel_for(host.self, lanes, 1, call, this);
    }
    if (!failed_) return failed_;
    if (stopped_) return fail(Code::cancelled, "stopped after {} of {} samples", done_, dataset_.size());
    return {};
  }

 private:
  void lane(size_t index) noexcept {
    Feeds::Pass pass(feeds_);
    while (!stopped_) {
      const uint64_t sample = next_.fetch_add(1);
      if (sample >= dataset_.size()) return;
      auto status = guarded([&]() -> Status {
        QUOIN_CHECK(take(interpreters_[index], pass, sample));
        report();
        return {};
      });
      if (!status) return give_up(sample, std::move(status));
    }
  }

  Status take(interpret::Interpreter& interpreter, Feeds::Pass& pass, uint64_t index) {
    QUOIN_TRY(const data::Sample sample, dataset_.sample(static_cast<size_t>(index)));
    pass.begin(index);
    const auto tap = [&](ir::ValueId value, const Tensor& tensor) { return pass.offer(value, tensor); };
    auto ran = interpreter.run(sample.inputs, tap);
    if (!ran) return std::move(ran).failure().at("sample {}", sample.name);
    return pass.finish();
  }

  // Of several failures the one of the first sample counts, as if they had come one by one.
  void give_up(uint64_t sample, Status status) {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (sample >= failed_sample_) return;
    failed_sample_ = sample;
    failed_ = std::move(status);
    feeds_.abandon(sample);
  }

  // Those under way when the user stops are still finished: a calibration holds whole samples.
  void report() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (progress_ != nullptr && !progress_->step(done_)) stopped_ = true;
  }

  const data::Dataset& dataset_;
  Feeds& feeds_;
  Progress* progress_;
  std::vector<interpret::Interpreter> interpreters_;
  std::atomic<uint64_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;  // of what follows
  uint64_t done_ = 0, failed_sample_ = UINT64_MAX;
  Status failed_;
};

}  // namespace

Status calibrate_constants(const ir::Graph& graph, Prepared& prepared, const quoin_host& host) {
  QUOIN_CHECK(check_streaming(graph, prepared));
  const Lend lend(prepared, host);
  return Feeds(graph, prepared).observe_constants();
}

Status calibrate(const ir::Graph& graph, Prepared& prepared, const data::Dataset* dataset,
                 const kernels::KernelSet& kernels, const quoin_host& host, Progress* progress,
                 Diagnostics& diagnostics) {
  QUOIN_CHECK(calibrate_constants(graph, prepared, host));
  Feeds feeds(graph, prepared);
  if (!feeds.need_samples()) {
    if (dataset != nullptr) diagnostics.info(dataset->describe(), "not read: no annotated value depends on the data");
    return check_calibrated(graph, prepared, diagnostics);
  }
  if (dataset == nullptr || dataset->size() == 0)
    return fail(Code::data, "{} static ranges must be observed, but there {}", feeds.groups(),
                dataset == nullptr ? "is no calibration data" : "are no samples")
        .at("{}", dataset == nullptr ? "" : dataset->describe())
        .hint("give quantize.calibrate.data, or use a dynamic preset");
  const size_t lanes = lanes_of(graph, dataset->size(), host);
  const quoin_host lane_host = lanes > 1 ? host::on_one_thread(host) : host;
  const Lend lend(prepared, lane_host);
  if (progress) progress->stage("calibrate", dataset->size());
  QUOIN_CHECK(Lanes(*dataset, feeds, progress).run(graph, kernels, host, lanes, lane_host));
  return check_calibrated(graph, prepared, diagnostics);
}

}  // namespace quoin::quantize
