#include "quantize/clip_search.hpp"

#include <algorithm>

namespace quoin::quantize {
namespace {

// Elements per bin without the zeros.
uint64_t nonzero(const DyadicHistogram& histogram, size_t i) {
  const bool holds_zero = histogram.first() + static_cast<int64_t>(i) == 0;
  return histogram.counts()[i] - (holds_zero ? histogram.zeros() : 0);
}

double edge(const DyadicHistogram& histogram, size_t i) {
  return static_cast<double>(histogram.first() + static_cast<int64_t>(i)) * histogram.width();
}

// Integral from 0 to x of (t - quantized t)^2.
double integral(double x, const Grid& grid) {
  const double third = grid.scale * grid.scale * grid.scale / 3;
  const double u = x / grid.scale, step = grid.step_of(x), rest = u - step;
  return third * (step / 4 + rest * rest * rest);
}

// Magnitudes instead of numbers: bins i and -i - 1 fall together.
struct Magnitudes {
  uint64_t first = 0;
  std::vector<uint64_t> counts;
};

Magnitudes magnitudes(const DyadicHistogram& histogram) {
  const int64_t first = histogram.first(), last = first + static_cast<int64_t>(histogram.counts().size()) - 1;
  const auto magnitude = [](int64_t bin) { return static_cast<uint64_t>(bin < 0 ? -bin - 1 : bin); };
  Magnitudes out;
  out.first = first <= 0 && last >= -1 ? 0 : std::min(magnitude(first), magnitude(last));
  out.counts.resize(std::max(magnitude(first), magnitude(last)) - out.first + 1);
  for (int64_t bin = first; bin <= last; ++bin)
    out.counts[magnitude(bin) - out.first] += histogram.counts()[static_cast<size_t>(bin - first)];
  return out;
}

// The last bin that must stay when at most `cut` elements may go from the end.
template <class Counts>
size_t last_kept(const Counts& counts, uint64_t cut) {
  size_t last = counts.size() - 1;
  for (uint64_t gone = counts[last]; last > 0 && gone <= cut; gone += counts[last]) --last;
  return last;
}

}  // namespace

SquaredError::SquaredError(const DyadicHistogram& histogram) : width_(histogram.width()) {
  for (size_t i = 0; i < histogram.counts().size(); ++i)
    if (const uint64_t count = nonzero(histogram, i); count > 0)
      bins_.push_back({edge(histogram, i), static_cast<double>(count)});
}

double SquaredError::operator()(const Grid& grid) const {
  double sum = 0;
  for (const Bin& bin : bins_) sum += bin.count * (integral(bin.begin + width_, grid) - integral(bin.begin, grid));
  return sum / width_;
}

Divergence::Divergence(const DyadicHistogram& histogram) : width_(histogram.width()) {
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    const auto count = static_cast<double>(nonzero(histogram, i));
    if (count == 0) continue;
    bins_.push_back({edge(histogram, i) + width_ / 2, count, count * std::log(count)});
    total_ += count;
  }
}

double Divergence::operator()(const Grid& grid) const {
  constexpr double kExcluded = std::numeric_limits<double>::infinity();
  if (bins_.empty()) return 0;
  if (grid.scale < width_) return kExcluded;
  const double lowest = (grid.low - 0.5) * grid.scale, highest = (grid.high + 0.5) * grid.scale;
  const auto begin = std::find_if(bins_.begin(), bins_.end(), [&](const Bin& bin) { return bin.middle >= lowest; });
  const auto end = std::find_if(begin, bins_.end(), [&](const Bin& bin) { return bin.middle > highest; });
  if (begin == end) return kExcluded;
  double below = 0, above = 0, inside = 0;
  for (auto bin = bins_.begin(); bin != begin; ++bin) below += bin->count;
  for (auto bin = end; bin != bins_.end(); ++bin) above += bin->count;
  double sum = 0;  // of P log P - P log Q, with counts for probabilities
  for (auto bin = begin; bin != end;) {
    const double step = grid.step_of(bin->middle);
    double mass = 0, reference = 0, bins = 0;
    for (; bin != end && grid.step_of(bin->middle) == step; ++bin, ++bins) {
      const double outside = (bin == begin ? below : 0) + (bin + 1 == end ? above : 0);
      const double count = bin->count + outside;
      mass += bin->count;
      reference += count;
      sum += outside > 0 ? count * std::log(count) : bin->entropy;
    }
    sum -= reference * std::log(mass / bins);
    inside += mass;
  }
  return sum / total_ + std::log(inside / total_);
}

Range percentile_range(const DyadicHistogram& histogram, double percent, bool symmetric) {
  const Range seen = histogram.range();
  const double share = (100 - percent) / 100, total = static_cast<double>(histogram.total());
  if (symmetric) {
    const Magnitudes folded = magnitudes(histogram);
    const uint64_t last = folded.first + last_kept(folded.counts, static_cast<uint64_t>(total * share)) + 1;
    const auto reach = static_cast<float>(static_cast<double>(last) * histogram.width());
    return {std::max(seen.min, -reach), std::min(seen.max, reach)};
  }
  const auto cut = static_cast<uint64_t>(total * share / 2);
  const auto counts = histogram.counts();
  const std::vector<uint64_t> reversed(counts.rbegin(), counts.rend());
  const auto low = static_cast<float>(edge(histogram, counts.size() - 1 - last_kept(reversed, cut)));
  const auto high = static_cast<float>(edge(histogram, last_kept(counts, cut) + 1));
  return {std::max(seen.min, low), std::min(seen.max, high)};
}

}  // namespace quoin::quantize
