// Histogram observer after torchao's HistogramObserver (docs/quantization.md): counts in equal bins over the range seen
// so far, then a greedy search for the narrower range with the smallest squared quantization error. Every step that
// decides something is in binary32 and in the reference's order.
#include <algorithm>
#include <cmath>

#include "quantize/observers.hpp"
#include "quantize/sweep.hpp"
#include "quantize/torch_math.hpp"

namespace quoin::quantize {
namespace {

constexpr size_t kUpsample = 16;  // pieces of an old bin when the range grows

using Counts = std::vector<float>;

// Bin of x: (x - low) * bins / (high - low), truncated; the last bin includes its right edge.
class Binning {
 public:
  Binning(Range range, size_t bins) : bins_(static_cast<float>(bins)), last_(static_cast<int32_t>(bins) - 1) {
    low_ = range.min == range.max ? range.min - 1.0f : range.min;
    width_ = (range.min == range.max ? range.max + 1.0f : range.max) - low_;
  }
  // False: products overflow binary32.
  bool representable() const { return std::isfinite(width_ * bins_) && width_ > 0; }
  QUOIN_LOOP_BODY int32_t operator()(float x) const {
    const auto bin = static_cast<int32_t>((x - low_) * bins_ / width_);
    return bin < last_ ? bin : last_;
  }

 private:
  float low_, width_, bins_;
  int32_t last_;
};

// The old counts in the bins of a wider range: every bin is cut in kUpsample pieces that go where their middle lies.
Counts remap(const Counts& old, Range from, Range to) {
  const size_t bins = old.size(), fine = bins * kUpsample;
  const std::vector<float> starts = linspace(from.min, from.max, fine + 1), edges = linspace(to.min, to.max, bins + 1);
  const float half = 0.5f * ((from.max - from.min) / static_cast<float>(fine));
  Counts out(bins);
  size_t above = 0;  // edges that are <= the middle
  for (size_t k = 0; k < fine; ++k) {
    const float middle = starts[k] + half;
    while (above <= bins && edges[above] <= middle) ++above;
    while (above > 0 && edges[above - 1] > middle) --above;
    const size_t bucket = above == 0 ? 0 : std::min(above - 1, bins - 1);
    out[bucket] += old[k / kUpsample] / static_cast<float>(kUpsample);
  }
  return out;
}

// Squared error when bins first..last are spread over the integers of `bits` bits and the rest is clipped.
class QuantizationError {
 public:
  QuantizationError(const Counts& counts, Range range, uint32_t bits)
      : counts_(counts),
        norm_(counts.size()),
        steps_(std::ldexp(1.0, static_cast<int>(bits))),
        width_((static_cast<double>(range.max) - static_cast<double>(range.min)) / static_cast<double>(counts.size())) {
  }

  float operator()(size_t first, size_t last) {
    const double step = width_ * static_cast<double>(last - first + 1) / steps_;  // one integer, in real units
    if (step == 0.0) return 0.0f;
    const auto width = static_cast<float>(width_), dst = static_cast<float>(step), half = static_cast<float>(step / 2);
    const float top = static_cast<float>(steps_ - 1), inner_cube = (cube(half) - cube(-half)) / 3.0f;
    for (size_t i = 0; i < counts_.size(); ++i) {
      const float begin = static_cast<float>(static_cast<int32_t>(i) - static_cast<int32_t>(first)) * width;
      const float end = begin + width;
      const float begin_step = step_of(begin, dst, top), end_step = step_of(end, dst, top);
      const float density = counts_[i] / width;
      float norm = density * ((cube(half) - cube(begin - (begin_step + 0.5f) * dst)) / 3.0f);
      norm += (end_step - begin_step - 1.0f) * (density * inner_cube);
      norm += density * ((cube(end - (end_step * dst + half)) - cube(-half)) / 3.0f);
      norm_[i] = norm;
    }
    return cascade_sum(norm_);
  }

 private:
  static float cube(float x) { return x * x * x; }
  // floor(x / width) within 0..top. Binary64 makes the quotient of two binary32 numbers floor exactly.
  static float step_of(float x, float width, float top) {
    const double quotient = static_cast<double>(x) / static_cast<double>(width);
    const double inside =
        quotient > 0 ? (quotient < static_cast<double>(top) ? quotient : static_cast<double>(top)) : 0.0;
    return static_cast<float>(static_cast<int32_t>(inside));
  }

  const Counts& counts_;
  Counts norm_;
  const double steps_, width_;
};

// Moves the bound that leaves fewer elements outside, as long as the error does not grow.
Range search(const Counts& counts, Range range, uint32_t bits) {
  constexpr double kStep = 1e-5;  // of all elements
  const double total = static_cast<double>(cascade_sum(counts));
  Counts below(counts.size());  // elements up to and including each bin
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) below[i] = static_cast<float>(sum += static_cast<double>(counts[i]));

  QuantizationError error(counts, range, bits);
  size_t start = 0, end = counts.size() - 1, left = start, right = end;
  double alpha = 0, beta = 1;
  float best = std::numeric_limits<float>::infinity();
  while (alpha < beta) {
    const double next_alpha = alpha + kStep, next_beta = beta - kStep;
    const auto low = static_cast<float>(next_alpha * total), high = static_cast<float>(next_beta * total);
    left = start, right = end;
    while (left < end && below[left] < low) ++left;
    while (right > start && below[right] > high) --right;
    size_t next_start = start, next_end = end;
    if (left - start > end - right) {
      next_start = left;
      alpha = next_alpha;
    } else {
      next_end = right;
      beta = next_beta;
    }
    if (next_start == start && next_end == end) continue;
    const float found = error(next_start, next_end);
    if (found > best) break;
    best = found;
    start = next_start;
    end = next_end;
  }
  const float width = (range.max - range.min) / static_cast<float>(counts.size());
  return {range.min + width * static_cast<float>(start), range.min + width * static_cast<float>(end + 1)};
}

class Histogram final : public Observer {
 public:
  Histogram(Spec spec, size_t bins) : spec_(std::move(spec)), bins_(bins) {}

  Status observe(const Tensor& tensor) override {
    QUOIN_TRY(const auto elements, float_elements(tensor));
    if (elements.empty()) return {};
    // Most batches stay inside of what was seen: the range is looked for only when one does not.
    if (seen()) {
      QUOIN_TRY(const Binning bin, binning(range_));
      if (const auto found = sweep::count(elements, bin, bins_, range_, host_)) {
        const Counts fresh = floats(*found, bin);
        for (size_t i = 0; i < bins_; ++i) counts_[i] += fresh[i];
        return {};
      }
    }
    QUOIN_TRY(Range range, scan(elements, host_));
    range.cover(range_);
    QUOIN_TRY(const Binning bin, binning(range));
    Counts fresh = floats(*sweep::count(elements, bin, bins_, range, host_), bin);
    if (seen()) add(fresh, {range_, counts_}, range, bin);
    counts_ = std::move(fresh);
    range_ = range;
    return {};
  }
  std::vector<Range> ranges() const override { return seen() ? std::vector{range_} : std::vector<Range>(); }
  bool seen() const override { return !counts_.empty(); }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    const Range best = search(counts_, range_, bits(spec_.dtype));
    return choose_qparams(spec_, std::span(&best, 1));
  }
  Result<ObserverState> state() const override {
    if (!seen()) return ObserverState();
    ObserverState out = ranges_state(std::span(&range_, 1));
    out["counts"] = Tensor::of<float>(DType::f32, {static_cast<int64_t>(bins_)}, counts_);
    return out;
  }
  Status merge(const ObserverState& saved) override {
    if (saved.empty()) return {};
    QUOIN_TRY(const Old other, read(saved));
    Range range = other.range;
    range.cover(range_);
    QUOIN_TRY(const Binning bin, binning(range));
    Counts joined(bins_);
    add(joined, other, range, bin);
    if (seen()) add(joined, {range_, counts_}, range, bin);
    counts_ = std::move(joined);
    range_ = range;
    return {};
  }

 private:
  struct Old {
    Range range;
    Counts counts;
  };

  // One rounding per bin, as if every bin were counted as a whole.
  static Counts floats(sweep::Counted counted, const Binning& bin) {
    if (counted.zeros > 0) counted.bins[static_cast<size_t>(bin(0.0f))] += counted.zeros;
    Counts out(counted.bins.size());
    std::transform(counted.bins.begin(), counted.bins.end(), out.begin(),
                   [](uint64_t count) { return static_cast<float>(count); });
    return out;
  }
  Result<Binning> binning(Range range) const {
    const Binning bin(range, bins_);
    if (bin.representable()) return bin;
    return fail(Code::data, "the range [{}, {}] is too wide for a histogram in binary32", range.min, range.max);
  }
  Result<Old> read(const ObserverState& saved) const {
    QUOIN_TRY(const auto ranges, saved_ranges(saved, 1));
    QUOIN_TRY(const auto counts, saved_floats(saved, "counts", bins_));
    for (const float count : counts)
      if (!std::isfinite(count) || count < 0) return fail(Code::data, "the saved state counts {} elements", count);
    return Old{ranges[0], Counts(counts.begin(), counts.end())};
  }
  // Adds the counts of an old range to those of `range`, which covers it.
  static void add(Counts& fresh, const Old& old, Range range, const Binning& bin) {
    if (range.min == old.range.min && range.max == old.range.max) {
      for (size_t i = 0; i < fresh.size(); ++i) fresh[i] += old.counts[i];
    } else if (old.range.min == old.range.max) {
      fresh[static_cast<size_t>(bin(old.range.min))] += cascade_sum(old.counts);
    } else {
      const Counts moved = remap(old.counts, old.range, range);
      for (size_t i = 0; i < fresh.size(); ++i) fresh[i] += moved[i];
    }
  }

  const Spec spec_;
  const size_t bins_;
  Range range_;
  Counts counts_;
};

}  // namespace

std::unique_ptr<Observer> make_histogram(const Spec& spec, size_t bins) {
  return std::make_unique<Histogram>(spec, bins);
}

}  // namespace quoin::quantize
