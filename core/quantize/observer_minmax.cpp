#include "quantize/observers.hpp"

namespace quoin::quantize {
namespace {

// One range per tensor, channel or group. A constant of 1 keeps the extremes of all batches ("minmax"); a smaller one
// moves the range towards each new batch: m += constant * (batch - m), in binary32 ("moving_average").
class MinMax final : public Observer {
 public:
  MinMax(Spec spec, std::optional<float> averaging_constant)
      : spec_(std::move(spec)), averaging_constant_(averaging_constant) {}

  Status observe(const Tensor& tensor) override {
    QUOIN_TRY(const auto elements, float_elements(tensor));
    if (elements.empty()) return {};
    QUOIN_TRY(const ScaleLayout layout, scale_layout(spec_, tensor.shape()));
    const auto count = static_cast<size_t>(layout.count());
    if (!ranges_.empty() && ranges_.size() != count)
      return fail(Code::plugin, "tensors that share one observer have {} and {} scales", ranges_.size(), count);
    QUOIN_TRY(const auto batch, scan(elements, layout, host_));
    add(batch);
    return {};
  }
  bool seen() const override { return !ranges_.empty(); }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    return choose_qparams(spec_, ranges_);
  }
  std::vector<Range> ranges() const override { return ranges_; }
  Result<ObserverState> state() const override { return seen() ? ranges_state(ranges_) : ObserverState(); }
  Status merge(const ObserverState& saved) override {
    if (saved.empty()) return {};
    if (seen() && averaging_constant_)
      return fail(Code::data, "moving averages depend on the order of the samples: two of them cannot be joined")
          .hint("resume the first one instead");
    const size_t count = spec_.scheme == Scheme::per_tensor ? 1 : ranges_.size();
    QUOIN_TRY(const auto ranges, saved_ranges(saved, count));
    add(ranges);
    return {};
  }

 private:
  void add(const std::vector<Range>& batch) {
    if (ranges_.empty()) {
      ranges_ = batch;
      return;
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!averaging_constant_) {
        ranges_[i].cover(batch[i]);
        continue;
      }
      ranges_[i].min += *averaging_constant_ * (batch[i].min - ranges_[i].min);
      ranges_[i].max += *averaging_constant_ * (batch[i].max - ranges_[i].max);
    }
  }

  const Spec spec_;
  const std::optional<float> averaging_constant_;
  std::vector<Range> ranges_;
};

class Fixed final : public Observer {
 public:
  explicit Fixed(QParams qparams) : qparams_(std::move(qparams)) {}
  Status observe(const Tensor&) override { return {}; }
  bool seen() const override { return true; }
  Result<QParams> qparams() const override { return qparams_; }
  Result<ObserverState> state() const override { return ObserverState(); }
  Status merge(const ObserverState&) override { return {}; }

 private:
  const QParams qparams_;
};

}  // namespace

std::unique_ptr<Observer> make_minmax(const Spec& spec) { return std::make_unique<MinMax>(spec, std::nullopt); }

std::unique_ptr<Observer> make_moving_average(const Spec& spec, float averaging_constant) {
  return std::make_unique<MinMax>(spec, averaging_constant);
}

std::unique_ptr<Observer> make_fixed(const Spec& spec) {
  QParams qparams;
  qparams.dtype = spec.dtype;
  qparams.qmin = spec.qmin;
  qparams.qmax = spec.qmax;
  qparams.scale = {spec.scale};
  qparams.zero_point = {spec.zero_point};
  return std::make_unique<Fixed>(std::move(qparams));
}

}  // namespace quoin::quantize
