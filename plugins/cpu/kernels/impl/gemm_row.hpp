// Integer products of a single row: classifiers, autoencoders, tokens one at a time.
#pragma once

#include "gemm.hpp"

namespace quoin::cpu {
namespace {

// Products of one row are bound by reading the weights once: as many sums as hide the latency of a dot product, of more
// columns at a time or, where there are none, of every second or fourth group of the depth.
template <class T, class Store>
struct RowKernel {
  static constexpr int kMost = 8;  // sums
  static constexpr int kPerBlock = kBlock / T::kLanes, kBlocks = kMost / kPerBlock;
  using Args = typename Store::Call;

  static void run(const Args& g) {
    const int64_t blocks = (g.n + kBlock - 1) / kBlock;
    int64_t block = 0;
    for (; block + kBlocks <= blocks; block += kBlocks) tile<kBlocks>(g, block * kBlock);
    if constexpr (kBlocks > 4) {
      for (; block + 4 <= blocks; block += 4) tile<4>(g, block * kBlock);
    }
    for (; block + 2 <= blocks; block += 2) tile<2>(g, block * kBlock);
    for (; block < blocks; ++block) tile<1>(g, block * kBlock);
  }

  template <int Blocks>
  static void tile(const Args& g, int64_t column) {
    constexpr int kVectors = Blocks * kPerBlock, kSplits = smaller(kMost / kVectors, 4);
    const int64_t groups = round_to(g.k, 4) / 4, block_bytes = groups * 4 * kBlock;
    const int8_t* b = g.b + column / kBlock * block_bytes;
    const uint8_t* a = row_of(g, 0) + g.window.first;
    typename T::I acc[kSplits][kVectors];
    QUOIN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      acc[0][v] = g.bias ? T::load_int(g.bias + column + v * T::kLanes) : T::set1_int(0);
      QUOIN_UNROLL
      for (int s = 1; s < kSplits; ++s) acc[s][v] = T::set1_int(0);
    }
    const auto multiply = [&](int s) QUOIN_LAMBDA_INLINE {
      const typename T::X x = T::prepare_x(T::set1_int(load32(a + 4 * s)));
      QUOIN_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const int8_t* w = b + 4 * kBlock * s + v / kPerBlock * block_bytes + v % kPerBlock * 4 * T::kLanes;
        acc[s][v] = T::dot4(acc[s][v], x, T::prepare_w(T::load_bytes(w)));
      }
    };
    int64_t group = 0;
    for (; group + kSplits <= groups; group += kSplits, a += 4 * kSplits, b += 4 * kBlock * kSplits) {
      QUOIN_UNROLL
      for (int s = 0; s < kSplits; ++s) multiply(s);
    }
    for (; group < groups; ++group, a += 4, b += 4 * kBlock) multiply(0);
    keep(acc);
    typename T::I sum[1][kVectors];
    QUOIN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sum[0][v] = acc[0][v];
      QUOIN_UNROLL
      for (int s = 1; s < kSplits; ++s) sum[0][v] = T::add_int(sum[0][v], acc[s][v]);
    }
    Store::store_row(g, column, sum);
  }
};

}  // namespace
}  // namespace quoin::cpu
