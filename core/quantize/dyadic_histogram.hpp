// A histogram whose state depends on nothing but the multiset of the elements it has seen.
//
// Bin i covers [i * 2^k, (i + 1) * 2^k). k is the smallest exponent with which the range seen fits into kBins bins;
// when the range grows, k grows, and neighbouring bins merge without loss. So counts of parts, added in any order, are
// the counts of the whole, bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quantize/observer.hpp"
#include "quantize/range.hpp"

namespace quoin::quantize {

class DyadicHistogram {
 public:
  static constexpr size_t kBins = 4096;

  // Errors (data): NaN or Inf, with the element's index; nothing was added then.
  Status add(std::span<const float> elements, const quoin_host* host);
  // Errors (data): more than 2^63 elements together; nothing was added then.
  Status add(const DyadicHistogram& other);

  bool empty() const { return range_.empty(); }
  Range range() const { return range_; }
  int64_t first() const { return first_; }  // number of the bin of counts()[0]
  double width() const;                     // 2^k
  // Elements per bin, from the bin of the smallest to that of the largest; exact zeros are among them.
  std::span<const uint64_t> counts() const { return counts_; }
  // Elements that are 0: every scale represents them exactly.
  uint64_t zeros() const { return zeros_; }
  uint64_t total() const { return total_; }

  ObserverState state() const;
  // Errors (data): not a state that state() makes.
  static Result<DyadicHistogram> from(const ObserverState& saved);

 private:
  void cover(Range range);  // coarsens and grows the bins

  Range range_;
  int exponent_ = 0;
  int64_t first_ = 0;
  std::vector<uint64_t> counts_;
  uint64_t zeros_ = 0, total_ = 0;
};

}  // namespace quoin::quantize
