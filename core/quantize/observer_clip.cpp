// Observers that may cut a range off: mse, percentile and entropy.
#include <functional>

#include "quantize/clip_search.hpp"
#include "quantize/observers.hpp"

namespace quoin::quantize {
namespace {

using Choose = std::function<Result<Range>(const Spec&, const DyadicHistogram&)>;

// Per tensor, from a histogram of everything seen.
class Clipped final : public Observer {
 public:
  Clipped(Spec spec, Choose choose) : spec_(std::move(spec)), choose_(std::move(choose)) {}

  Status observe(const Tensor& tensor) override {
    QUOIN_TRY(const auto elements, float_elements(tensor));
    return histogram_.add(elements, host_);
  }
  bool seen() const override { return !histogram_.empty(); }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    QUOIN_TRY(const Range range, choose_(spec_, histogram_));
    return choose_qparams(spec_, std::span(&range, 1));
  }
  std::vector<Range> ranges() const override { return seen() ? std::vector{histogram_.range()} : std::vector<Range>(); }
  Result<ObserverState> state() const override { return histogram_.state(); }
  Status merge(const ObserverState& saved) override {
    QUOIN_TRY(const DyadicHistogram other, DyadicHistogram::from(saved));
    return histogram_.add(other);
  }

 private:
  const Spec spec_;
  const Choose choose_;
  DyadicHistogram histogram_;
};

// Mean squared error with one range per channel, group or block: weights are few, so their elements are looked at.
class WeightMse final : public Observer {
 public:
  explicit WeightMse(Spec spec) : spec_(std::move(spec)) {}

  Status observe(const Tensor& tensor) override {
    QUOIN_TRY(const auto elements, float_elements(tensor));
    if (elements.empty()) return {};
    QUOIN_TRY(const ScaleLayout layout, scale_layout(spec_, tensor.shape()));
    QUOIN_TRY(const auto ranges, scan(elements, layout, host_));
    if (seen() && ranges.size() != ranges_.size())
      return fail(Code::plugin, "tensors that share one observer have {} and {} scales", ranges_.size(), ranges.size());
    ranges_.resize(ranges.size());
    for (size_t i = 0; i < ranges.size(); ++i) ranges_[i].cover(ranges[i]);
    tensors_.push_back(tensor);
    return {};
  }
  bool seen() const override { return !tensors_.empty(); }
  bool keeps_tensors() const override { return true; }
  std::vector<Range> ranges() const override { return ranges_; }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    QUOIN_TRY(const auto groups, by_scale());
    std::vector<Range> best(ranges_.size());
    for (size_t i = 0; i < best.size(); ++i) {
      const auto cost = [&](const Grid& grid) {
        double sum = 0;
        for (const float x : groups[i]) {
          const double error = static_cast<double>(x) - grid.step_of(static_cast<double>(x)) * grid.scale;
          sum += error * error;
        }
        return sum;
      };
      QUOIN_TRY(best[i], search_clip(spec_, ranges_[i], cost));
    }
    return choose_qparams(spec_, best);
  }
  Result<ObserverState> state() const override {
    ObserverState out;
    for (size_t i = 0; i < tensors_.size(); ++i) out.emplace(fmt::format("tensor{:06}", i), tensors_[i]);
    return out;
  }
  Status merge(const ObserverState& saved) override {
    WeightMse joined = *this;
    for (const auto& [name, tensor] : saved) QUOIN_CHECK_AT(joined.observe(tensor), "{}", name);
    tensors_ = std::move(joined.tensors_);
    ranges_ = std::move(joined.ranges_);
    return {};
  }

 private:
  // The elements of every scale, in the order in which they were seen.
  Result<std::vector<std::vector<float>>> by_scale() const {
    std::vector<std::vector<float>> out(ranges_.size());
    for (const Tensor& tensor : tensors_) {
      QUOIN_TRY(const ScaleLayout layout, scale_layout(spec_, tensor.shape()));
      const auto elements = tensor.as<float>();
      layout.runs(0, tensor.size(), [&](int64_t scale, int64_t first, int64_t count) {
        auto& own = out[static_cast<size_t>(scale)];
        own.insert(own.end(), elements.begin() + first, elements.begin() + first + count);
      });
    }
    return out;
  }

  const Spec spec_;
  std::vector<Tensor> tensors_;
  std::vector<Range> ranges_;
};

}  // namespace

std::unique_ptr<Observer> make_mse(const Spec& spec) {
  if (spec.scheme != Scheme::per_tensor) return std::make_unique<WeightMse>(spec);
  return std::make_unique<Clipped>(spec, [](const Spec& own, const DyadicHistogram& histogram) {
    return search_clip(own, histogram.range(), SquaredError(histogram));
  });
}

std::unique_ptr<Observer> make_percentile(const Spec& spec, double percent) {
  return std::make_unique<Clipped>(spec, [percent](const Spec& own, const DyadicHistogram& histogram) {
    return Result<Range>(percentile_range(histogram, percent, own.symmetric));
  });
}

std::unique_ptr<Observer> make_entropy(const Spec& spec) {
  return std::make_unique<Clipped>(spec, [](const Spec& own, const DyadicHistogram& histogram) {
    return search_clip(own, histogram.range(), Divergence(histogram));
  });
}

}  // namespace quoin::quantize
