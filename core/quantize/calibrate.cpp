#include <algorithm>
#include <cstring>

#include "quantize/calibration.hpp"

namespace quoin::quantize {
namespace {

// Feeds one group's observer. Every value is observed once per sample however many places refer to it, in the order in
// which the reference's observers would run: results after their node, operands before the node that reads them.
class Feed {
 public:
  Feed(const ir::Graph& graph, Group& group, const std::vector<size_t>& position)
      : graph_(graph), observer_(*group.observer) {
    std::map<ir::ValueId, uint64_t> due;
    for (const ir::Place place : group.places) {
      const uint64_t time = (uint64_t{position[place.node]} << 32) + (place.output ? UINT32_MAX : place.slot);
      const auto [found, fresh] = due.emplace(value_at(graph, place), time);
      if (!fresh) found->second = std::min(found->second, time);
    }
    for (const auto& [value, time] : due) values_.push_back(value);
    std::sort(values_.begin(), values_.end(), [&](auto a, auto b) { return due.at(a) < due.at(b); });
    constant_ = std::all_of(values_.begin(), values_.end(), [&](auto value) { return graph.is_constant(value); });
  }

  bool constant() const { return constant_; }  // needs no samples
  const std::vector<ir::ValueId>& values() const { return values_; }

  Status begin() {
    next_ = 0;
    held_.clear();
    return drain();
  }
  // The value was computed: observes it, or keeps a copy until those due before it came.
  Status offer(ir::ValueId value, const Tensor& tensor) {
    if (next_ == values_.size() || values_[next_] != value) {
      Tensor copy(tensor.dtype(), tensor.shape());
      if (tensor.bytes() > 0) std::memcpy(copy.data(), tensor.data(), tensor.bytes());
      held_.emplace(value, std::move(copy));
      return {};
    }
    QUOIN_CHECK(observe(value, tensor));
    return drain();
  }
  Status finish() const {
    return next_ == values_.size() ? Status{} : fail(Code::internal, "{} was never computed", label(values_[next_]));
  }

 private:
  Status drain() {
    for (; next_ < values_.size();) {
      const ir::ValueId value = values_[next_];
      if (graph_.is_constant(value)) {
        QUOIN_CHECK(observe(value, *graph_.value(value).constant));
      } else if (const auto held = held_.find(value); held != held_.end()) {
        QUOIN_CHECK(observe(value, held->second));
        held_.erase(held);
      } else {
        return {};
      }
    }
    return {};
  }
  Status observe(ir::ValueId value, const Tensor& tensor) {
    if (auto status = observer_.observe(tensor); !status) return fail(in(label(value), std::move(status).error()));
    ++next_;
    return {};
  }
  std::string label(ir::ValueId id) const {
    const ir::Value& value = graph_.value(id);
    if (value.producer != ir::kNone) return graph_.describe(value.producer);
    return (value.constant ? "constant " : "input ") + value.name;
  }

  const ir::Graph& graph_;
  Observer& observer_;
  std::vector<ir::ValueId> values_;
  bool constant_ = false;
  size_t next_ = 0;
  std::map<ir::ValueId, Tensor> held_;
};

class Feeds {
 public:
  Feeds(const ir::Graph& graph, Prepared& prepared) {
    std::vector<size_t> position(graph.node_capacity());
    for (size_t i = 0; i < graph.order().size(); ++i) position[graph.order()[i]] = i;
    for (Group& group : prepared.groups)
      if (group.observer) feeds_.emplace_back(graph, group, position);
    for (size_t i = 0; i < feeds_.size(); ++i) {
      if (feeds_[i].constant()) continue;
      for (const ir::ValueId value : feeds_[i].values()) readers_[value].push_back(i);
    }
  }
  bool need_samples() const { return !readers_.empty(); }
  size_t groups() const {
    return static_cast<size_t>(
        std::count_if(feeds_.begin(), feeds_.end(), [](const Feed& f) { return !f.constant(); }));
  }
  Status observe_constants() {
    for (Feed& feed : feeds_)
      if (feed.constant()) QUOIN_CHECK(feed.begin());
    return {};
  }
  Status run(interpret::Interpreter& interpreter, const data::Sample& sample) {
    for (Feed& feed : feeds_)
      if (!feed.constant()) QUOIN_CHECK(feed.begin());
    const auto tap = [this](ir::ValueId value, const Tensor& tensor) -> Status {
      const auto found = readers_.find(value);
      if (found == readers_.end()) return {};
      for (const size_t i : found->second) QUOIN_CHECK(feeds_[i].offer(value, tensor));
      return {};
    };
    QUOIN_CHECK(interpreter.run(sample.inputs, tap));
    for (const Feed& feed : feeds_)
      if (!feed.constant()) QUOIN_CHECK(feed.finish());
    return {};
  }

 private:
  std::vector<Feed> feeds_;
  std::map<ir::ValueId, std::vector<size_t>> readers_;  // indices into feeds_
};

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
        return fail(Error{Code::recipe,
                          fmt::format("observer {} with more than one scale is for weights only", group.spec.observer),
                          describe(graph, place), "use minmax"});
  }
  return {};
}

}  // namespace

Status calibrate_constants(const ir::Graph& graph, Prepared& prepared, const quoin_host& host) {
  QUOIN_CHECK(check_streaming(graph, prepared));
  const Lend lend(prepared, host);
  return Feeds(graph, prepared).observe_constants();
}

Status calibrate(const ir::Graph& graph, Prepared& prepared, const data::Dataset* dataset,
                 const kernels::KernelSet& kernels, const quoin_host& host, Progress* progress,
                 Diagnostics& diagnostics) {
  QUOIN_CHECK(check_streaming(graph, prepared));
  const Lend lend(prepared, host);
  Feeds feeds(graph, prepared);
  QUOIN_CHECK(feeds.observe_constants());
  if (!feeds.need_samples()) {
    if (dataset != nullptr) diagnostics.info(dataset->describe(), "not read: no annotated value depends on the data");
    return check_calibrated(graph, prepared, diagnostics);
  }
  if (dataset == nullptr || dataset->size() == 0)
    return fail(Error{Code::data,
                      fmt::format("{} static ranges must be observed, but there {}", feeds.groups(),
                                  dataset == nullptr ? "is no calibration data" : "are no samples"),
                      dataset == nullptr ? "" : dataset->describe(),
                      "give quantize.calibrate.data, or use a dynamic preset"});
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels, host));
  if (progress) progress->stage("calibrate", dataset->size());
  for (size_t i = 0; i < dataset->size(); ++i) {
    QUOIN_TRY(const data::Sample sample, dataset->sample(i));
    if (auto status = feeds.run(interpreter, sample); !status)
      return fail(in("sample " + sample.name, std::move(status).error()));
    if (progress && !progress->step(i + 1))
      return fail(Code::cancelled, "stopped after {} of {} samples", i + 1, dataset->size());
  }
  return check_calibrated(graph, prepared, diagnostics);
}

}  // namespace quoin::quantize
