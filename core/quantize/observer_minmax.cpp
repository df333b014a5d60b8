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
    QUOIN_TRY(const Pieces parts, pieces(spec_, tensor.shape()));
    if (!ranges_.empty() && ranges_.size() != parts.count)
      return fail(Code::plugin, "tensors that share one observer have {} and {} channels", ranges_.size(), parts.count);
    QUOIN_TRY(const auto batch, scan_pieces(elements, parts));
    merge(batch);
    return {};
  }
  bool seen() const override { return !ranges_.empty(); }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    return choose_qparams(spec_, ranges_);
  }

 private:
  static Result<std::vector<Range>> scan_pieces(std::span<const float> elements, const Pieces& parts) {
    std::vector<Range> out(parts.count);
    for (size_t o = 0; o < parts.outer; ++o) {
      for (size_t c = 0; c < parts.count; ++c) {
        const size_t offset = (o * parts.count + c) * parts.inner;
        QUOIN_TRY(const Range range, scan(elements.subspan(offset, parts.inner), offset));
        out[c].cover(range);
      }
    }
    return out;
  }
  void merge(const std::vector<Range>& batch) {
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
