#include "quantize/dyadic_histogram.hpp"

#include <algorithm>
#include <cmath>

#include "quantize/observers.hpp"
#include "quantize/sweep.hpp"

namespace quoin::quantize {
namespace {

constexpr int kSmallestExponent = -126;  // 2^126 and every width are finite in binary32
constexpr int kDigits = 23;              // a bin is never finer than the largest element's last digit
constexpr uint64_t kMostElements = INT64_MAX;

int64_t bin_of(float x, int exponent) {
  return static_cast<int64_t>(std::floor(std::ldexp(static_cast<double>(x), -exponent)));
}

// Grows with the range, never shrinks: the smallest exponent of a union is at least that of each part.
int exponent_of(Range range) {
  const float reach = std::max(std::fabs(range.min), std::fabs(range.max));
  if (reach == 0) return kSmallestExponent;
  int digits = 0;
  std::frexp(reach, &digits);  // reach < 2^digits
  int exponent = std::max(digits - kDigits, kSmallestExponent);
  while (bin_of(range.max, exponent) - bin_of(range.min, exponent) >= static_cast<int64_t>(DyadicHistogram::kBins))
    ++exponent;
  return exponent;
}

// Bin of x, counted from the first. All products are exact: |x| / width is below 2^24, or it underflows, which the
// comparison with x corrects. It is one of integers, which vectorizes.
struct DyadicBin {
  float inverse, width;
  int32_t first;
  QUOIN_LOOP_BODY int32_t operator()(float x) const {
    const auto towards_zero = static_cast<int32_t>(x * inverse);
    const auto edge = std::bit_cast<int32_t>(static_cast<float>(towards_zero) * width);
    const int32_t below = sweep::order_of(edge) > sweep::order_of(std::bit_cast<int32_t>(x)) ? 1 : 0;
    return towards_zero - below - first;
  }
};

}  // namespace

double DyadicHistogram::width() const { return std::ldexp(1.0, exponent_); }

void DyadicHistogram::cover(Range range) {
  range.cover(range_);
  const int exponent = exponent_of(range);
  const int64_t first = bin_of(range.min, exponent), last = bin_of(range.max, exponent);
  std::vector<uint64_t> counts(static_cast<size_t>(last - first + 1));
  const int shift = std::min(exponent - exponent_, 63);
  for (size_t i = 0; i < counts_.size(); ++i)
    counts[static_cast<size_t>(((first_ + static_cast<int64_t>(i)) >> shift) - first)] += counts_[i];
  range_ = range;
  exponent_ = exponent;
  first_ = first;
  counts_ = std::move(counts);
}

Status DyadicHistogram::add(std::span<const float> elements, const quoin_host* host) {
  if (elements.empty()) return {};
  if (elements.size() > kMostElements - total_) return fail(Code::data, "more than 2^63 elements");
  const auto count = [&] {
    const auto width = static_cast<float>(std::ldexp(1.0, exponent_));
    const DyadicBin bin{1.0f / width, width, static_cast<int32_t>(first_)};
    return sweep::count(elements, bin, counts_.size(), range_, host);
  };
  auto found = empty() ? std::nullopt : count();
  if (!found) {
    QUOIN_TRY(const Range range, scan(elements, host));
    cover(range);
    found = count();
  }
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += found->bins[i];
  if (found->zeros > 0) counts_[static_cast<size_t>(-first_)] += found->zeros;
  zeros_ += found->zeros;
  total_ += elements.size();
  return {};
}

Status DyadicHistogram::add(const DyadicHistogram& other) {
  if (other.empty()) return {};
  if (other.total_ > kMostElements - total_) return fail(Code::data, "more than 2^63 elements");
  DyadicHistogram joined = other;
  joined.cover(range_);
  cover(other.range_);
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += joined.counts_[i];
  zeros_ += other.zeros_;
  total_ += other.total_;
  return {};
}

ObserverState DyadicHistogram::state() const {
  if (empty()) return {};
  ObserverState out = ranges_state(std::span(&range_, 1));
  std::vector<int64_t> counts(counts_.begin(), counts_.end());
  out["counts"] = Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(counts.size())}, counts);
  const auto zeros = static_cast<int64_t>(zeros_);
  out["zeros"] = Tensor::of<int64_t>(DType::s64, {1}, std::span(&zeros, 1));
  return out;
}

Result<DyadicHistogram> DyadicHistogram::from(const ObserverState& saved) {
  DyadicHistogram out;
  if (saved.empty()) return out;
  QUOIN_TRY(const auto ranges, saved_ranges(saved, 1));
  out.cover(ranges[0]);
  QUOIN_TRY(const auto counts, saved_integers(saved, "counts", out.counts_.size()));
  QUOIN_TRY(const auto zeros, saved_integers(saved, "zeros", 1));
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0 || static_cast<uint64_t>(counts[i]) > kMostElements - out.total_)
      return fail(Code::data, "the saved bin {} counts {} elements", i, counts[i]);
    out.counts_[i] = static_cast<uint64_t>(counts[i]);
    out.total_ += out.counts_[i];
  }
  const bool has_zero = out.range_.min <= 0 && out.range_.max >= 0;
  const auto most = has_zero ? static_cast<int64_t>(out.counts_[static_cast<size_t>(-out.first_)]) : 0;
  if (zeros[0] < 0 || zeros[0] > most) return fail(Code::data, "the saved state counts {} zeros", zeros[0]);
  if (out.counts_.front() == 0 || out.counts_.back() == 0)
    return fail(Code::data, "the saved bins of the smallest and largest element are empty");
  out.zeros_ = static_cast<uint64_t>(zeros[0]);
  return out;
}

}  // namespace quoin::quantize
