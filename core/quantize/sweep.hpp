// Loops over the elements of tensors: the same integers on every instruction set and every number of threads.
//
// A loop body is an always-inline function; sweep compiles it for the baseline, AVX2 and AVX-512, and the host's ISA
// bits choose. What is computed per element is exact or single rounded operations, so wider vectors change nothing.
#pragma once

#include <quoin/abi.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quantize/range.hpp"

#define QUOIN_LOOP_BODY inline __attribute__((always_inline))
#if defined(__x86_64__)
#define QUOIN_SWEEP_X86 1
#define QUOIN_FOR_AVX2 __attribute__((target("avx2")))
#define QUOIN_FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#endif

namespace quoin::quantize::sweep {

inline constexpr size_t kBlock = 128;      // elements that a loop body handles at once, in the first-level cache
inline constexpr size_t kPiece = 1 << 15;  // elements that one thread takes at once

// Order of binary32 numbers as integers: negative numbers have their magnitude bits flipped. Infinities and NaN lie
// outside the finite numbers on both sides. Integer extrema vectorize without assumptions about NaN.
QUOIN_LOOP_BODY int32_t order_of(int32_t bits) { return bits ^ ((bits >> 31) & INT32_MAX); }
inline int32_t order_of(float x) { return order_of(std::bit_cast<int32_t>(x)); }
inline float number_of(int32_t order) { return std::bit_cast<float>(order_of(order)); }

struct Extrema {
  int32_t low = INT32_MAX, high = INT32_MIN;  // order_of() the numbers
  void cover(Extrema other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
  }
};

inline uint32_t workers(const quoin_host* host) { return host == nullptr ? 1 : host->workers(host->self); }
inline bool allows(const quoin_host* host, uint64_t isa) { return host != nullptr && (host->isa & isa) == isa; }

// body(begin, end, worker) over pieces of [0, count); worker < workers(host). The body must not throw.
template <class F>
void in_pieces(const quoin_host* host, size_t count, F&& body) {
  if (host == nullptr || count <= kPiece) {
    if (count > 0) body(size_t{0}, count, uint32_t{0});
    return;
  }
  const auto call = [](void* self, uint64_t begin, uint64_t end, uint32_t worker) {
    (*static_cast<std::remove_reference_t<F>*>(self))(static_cast<size_t>(begin), static_cast<size_t>(end), worker);
  };
  host->parallel_for(host->self, count, kPiece, call, const_cast<void*>(static_cast<const void*>(&body)));
}

// What count() finds. Zeros, of which activations are full, are counted beside the bins.
struct Counted {
  std::vector<uint64_t> bins;
  uint64_t zeros = 0;
};

// Smallest and largest element.
Extrema extrema(std::span<const float> elements, const quoin_host* host);

namespace detail {

constexpr size_t kTables = 4;      // neighbours often fall into one bin: several tables hide that latency
constexpr size_t kZeroSlots = 16;  // for the same reason zeros take turns in several counters, behind the bins
constexpr size_t kTurn = 1 << 16;  // elements between two flushes: 16-bit counts cannot overflow, and fit the cache

QUOIN_LOOP_BODY Extrema block_extrema(const float* x, size_t count) {
  Extrema out;
  for (size_t i = 0; i < count; ++i) {
    const int32_t order = order_of(std::bit_cast<int32_t>(x[i]));
    out.low = order < out.low ? order : out.low;
    out.high = order > out.high ? order : out.high;
  }
  return out;
}

// Counts of one thread: [kTables][bins + kZeroSlots] of the current turn, and the sums of all turns before.
struct Tables {
  explicit Tables(size_t bins) : turn(kTables * (bins + kZeroSlots)), sums(bins + kZeroSlots) {
    for (size_t j = 0; j < kBlock; ++j) {
      table[j] = static_cast<int32_t>(j % kTables * stride());
      zero[j] = table[j] + static_cast<int32_t>(bins + j % kZeroSlots);
    }
  }
  size_t stride() const { return sums.size(); }
  std::vector<uint16_t> turn;
  std::vector<uint64_t> sums;
  alignas(64) std::array<int32_t, kBlock> table, zero;  // of each element of a block: its first counter, that of zeros
};

QUOIN_LOOP_BODY void flush(Tables& tables) {
  const size_t stride = tables.stride();
  uint16_t* turn = tables.turn.data();
  uint64_t* sums = tables.sums.data();
  for (size_t b = 0; b < stride; ++b) {
    uint32_t sum = 0;
    for (size_t t = 0; t < kTables; ++t) sum += turn[t * stride + b];
    sums[b] += sum;
  }
  std::fill(tables.turn.begin(), tables.turn.end(), uint16_t{0});
}

// Counts x[0..size); false when an element lies outside of `limits`. A constant `size` unrolls the loops.
template <class Bin>
QUOIN_LOOP_BODY bool count_block(const float* x, size_t size, const Bin& bin, Extrema limits, Tables& to) {
  const Extrema found = block_extrema(x, size);
  if (found.low < limits.low || found.high > limits.high) return false;
  alignas(64) std::array<uint32_t, kBlock> index;
  for (size_t j = 0; j < size; ++j) {  // masks instead of branches: zeros come in no order
    const int32_t own = bin(x[j]) + to.table[j];
    const int32_t is_zero = -static_cast<int32_t>((std::bit_cast<int32_t>(x[j]) & INT32_MAX) == 0);
    index[j] = static_cast<uint32_t>(own ^ ((own ^ to.zero[j]) & is_zero));
  }
  uint16_t* counts = to.turn.data();
  const size_t whole = size / kTables * kTables;
  for (size_t j = 0; j < whole; j += kTables)
    for (size_t t = 0; t < kTables; ++t) ++counts[index[j + t]];
  for (size_t j = whole; j < size; ++j) ++counts[index[j]];
  return true;
}

template <class Bin>
QUOIN_LOOP_BODY bool count_body(const float* x, size_t count, const Bin& bin, Extrema limits, Tables& to) {
  for (size_t turn = 0; turn < count; turn += kTurn) {
    const size_t end = std::min(count, turn + kTurn);
    size_t at = turn;
    for (; at + kBlock <= end; at += kBlock)
      if (!count_block(x + at, kBlock, bin, limits, to)) return false;
    if (at < end && !count_block(x + at, end - at, bin, limits, to)) return false;
    flush(to);
  }
  return true;
}

template <class Bin>
bool count_baseline(const float* x, size_t count, const Bin& bin, Extrema limits, Tables& to) {
  return count_body(x, count, bin, limits, to);
}
#if QUOIN_SWEEP_X86
template <class Bin>
QUOIN_FOR_AVX2 bool count_avx2(const float* x, size_t count, const Bin& bin, Extrema limits, Tables& to) {
  return count_body(x, count, bin, limits, to);
}
template <class Bin>
QUOIN_FOR_AVX512 bool count_avx512(const float* x, size_t count, const Bin& bin, Extrema limits, Tables& to) {
  return count_body(x, count, bin, limits, to);
}
#endif

template <class Bin>
auto count_for(const quoin_host* host) {
#if QUOIN_SWEEP_X86
  if (allows(host, QUOIN_ISA_AVX512)) return count_avx512<Bin>;
  if (allows(host, QUOIN_ISA_AVX2)) return count_avx2<Bin>;
#endif
  (void)host;
  return count_baseline<Bin>;
}

}  // namespace detail

// How many elements but zeros fall into each of `bins` bins. bin(x) is the bin of an x within `range` and defined for
// 0; its operator() is a QUOIN_LOOP_BODY. Nothing, when an element lies outside of `range`: then the range must be
// found first.
template <class Bin>
std::optional<Counted> count(std::span<const float> elements, const Bin& bin, size_t bins, Range range,
                             const quoin_host* host) {
  const Extrema limits{order_of(range.min == 0 ? -0.0f : range.min), order_of(range.max == 0 ? 0.0f : range.max)};
  const auto count_into = detail::count_for<Bin>(host);
  std::vector<detail::Tables> tables(elements.size() > kPiece ? workers(host) : 1, detail::Tables(bins));
  std::atomic<bool> inside = true;
  in_pieces(host, elements.size(), [&](size_t begin, size_t end, uint32_t worker) {
    if (inside.load(std::memory_order_relaxed) &&
        !count_into(elements.data() + begin, end - begin, bin, limits, tables[worker]))
      inside.store(false, std::memory_order_relaxed);
  });
  if (!inside) return std::nullopt;
  Counted out;
  out.bins.resize(bins);
  for (const detail::Tables& own : tables) {
    for (size_t b = 0; b < bins; ++b) out.bins[b] += own.sums[b];
    for (size_t b = bins; b < own.stride(); ++b) out.zeros += own.sums[b];
  }
  return out;
}

}  // namespace quoin::quantize::sweep
