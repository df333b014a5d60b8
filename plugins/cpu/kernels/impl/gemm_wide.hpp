// Integer products for dot products that take operands of 16 bits (AVX2, AVX-512 without VNNI).
#pragma once

#include "gemm.hpp"

namespace quoin::cpu {
namespace {

// Where a dot product takes operands of 16 bits, rows are widened once for all columns.
template <class T, class Store>
struct WideKernel {
  static constexpr int kBlocks = T::kDotBlocks;
  static constexpr const int* kRows = T::kDotRows;
  static constexpr int64_t kRoom = 32 * 1024;  // bytes on the stack
  static constexpr int64_t kVectorBytes = 4 * T::kLanes;

  // Rows [first, ...) of a product; of each the even bytes as 16-bit numbers and, `odd` bytes behind them, the odd
  // ones.
  struct Args {
    const typename Store::Args& g;
    const uint8_t* room;
    int64_t first, odd, depth, n;
  };

  static QUOIN_INLINE void widen(const Windows<uint8_t>& w, int64_t run, const uint8_t* row, uint8_t* to, int64_t odd) {
    row += w.first;
    for (int64_t r = 0; r < w.runs; ++r, to += run) {
      for (int64_t at = 0; at < run; at += kVectorBytes) {  // what is behind a run is overwritten, or not read
        const typename T::X x = T::prepare_x(T::load_bytes(row + at));
        T::store_bytes(to + at, x.even, kVectorBytes);
        T::store_bytes(to + at + odd, x.odd, kVectorBytes);
      }
      if (r + 1 < w.runs) row += w.jumps[r];
    }
  }

  template <int Rows, int Blocks>
  static void tile(const Args& args, int64_t row, int64_t rows, int64_t column) {
    constexpr int kPerBlock = kBlock / T::kLanes, kVectors = Blocks * kPerBlock;
    const typename Store::Args& g = args.g;
    const int64_t block_bytes = args.depth * kBlock;
    const int8_t* b = g.b + column / kBlock * block_bytes;
    const uint8_t* a[Rows];
    QUOIN_UNROLL
    for (int m = 0; m < Rows; ++m) a[m] = args.room + (row - args.first + smaller(m, rows - 1)) * 2 * args.odd;
    typename T::I acc[Rows][kVectors];
    QUOIN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const typename T::I bias = g.bias ? T::load_int(g.bias + column + v * T::kLanes) : T::set1_int(0);
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) acc[m][v] = bias;
    }
    for (int64_t k = 0; k < args.depth; k += 4, b += 4 * kBlock) {
      typename T::W w[kVectors];
      QUOIN_UNROLL
      for (int v = 0; v < kVectors; ++v)
        w[v] = T::prepare_w(T::load_bytes(b + (v / kPerBlock) * block_bytes + (v % kPerBlock) * kVectorBytes));
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) {
        const typename T::X x = {T::set1_int(load32(a[m] + k)), T::set1_int(load32(a[m] + k + args.odd))};
        QUOIN_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[m][v] = T::dot4(acc[m][v], x, w[v]);
      }
    }
    keep(acc);
    Store::template store<Rows, kVectors>(g, row, rows, column, acc);
  }
};

// False where the rows of a tile are too long, or too few columns share them.
template <class T, class Store>
bool multiply_wide(const typename Store::Args& g) {
  using Kernel = WideKernel<T, Store>;
  if (g.n <= kBlock) return false;
  constexpr int64_t kUnit = 8, kSlack = Kernel::kVectorBytes;  // kUnit: a multiple of every tile's rows
  const int64_t run = round_to(g.k, 4), depth = g.window.runs * run, odd = depth + kSlack;
  const int64_t step = Kernel::kRoom / (2 * odd) / kUnit * kUnit;
  if (step == 0) return false;
  alignas(64) uint8_t room[Kernel::kRoom];
  for (int64_t begin = 0; begin < g.rows; begin += step) {
    const int64_t end = smaller(g.rows, begin + step);
    for (int64_t row = begin; row < end; ++row)
      Kernel::widen(g.window, run, row_of(g, row), room + (row - begin) * 2 * odd, odd);
    panels<Kernel>(typename Kernel::Args{g, room, begin, odd, depth, g.n}, begin, end);
  }
  return true;
}

}  // namespace
}  // namespace quoin::cpu
