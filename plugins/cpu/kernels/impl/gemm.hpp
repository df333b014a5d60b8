// Matrix products: register tiles of M rows by B blocks of 16 columns, walked so that a panel of weights stays in
// cache.
#pragma once

#include <utility>

#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kBlock = 16;                 // columns per packed block
constexpr int64_t kRowBlockBytes = 96 * 1024;  // rows of A that are reused against every panel of B
// More of them against a B that no second-level cache holds: it comes from further away for every block of rows.
constexpr int64_t kLargeB = 1024 * 1024, kLargeRowBlockBytes = 4 * kRowBlockBytes;

QUOIN_INLINE int64_t round_to(int64_t x, int64_t step) { return (x + step - 1) / step * step; }

// Where row m of the left operand begins.
template <class Args>
QUOIN_INLINE auto row_of(const Args& g, int64_t m) {
  return g.window.rows ? g.window.rows[m] : g.a + m * g.a_stride;
}

// Where to read in a row of windows, element by element or group by group, without a branch: around a second loop, or
// a branch in the first, compilers move every sum of a tile.
class RunWalk {
 public:
  // `length` of a run, a multiple of `step`.
  template <class T>
  QUOIN_INLINE RunWalk(const Windows<T>& w, int64_t length, int64_t step)
      : k(w.first), length_(length), step_(step), left_(length), jumps_(w.jumps ? w.jumps : &kNoJump) {}
  QUOIN_INLINE void next() {
    left_ -= step_;
    const int64_t end = -static_cast<int64_t>(left_ == 0);  // all ones behind a run
    k += step_ + (end & (*jumps_ - length_));
    left_ += end & length_;
    jumps_ -= end;
  }
  int64_t k;

 private:
  static constexpr int64_t kNoJump = 0;
  int64_t length_, step_, left_;
  const int64_t* jumps_;
};

// The sums behind a loop are those inside it, in the same registers: compilers otherwise store a second copy of each
// sum in every round, for what follows the loop.
template <class V, int Rows, int Vectors>
QUOIN_INLINE void keep([[maybe_unused]] V (&acc)[Rows][Vectors]) {
#if defined(QUOIN_PIN) && !defined(QUOIN_KEEP_LOOPS)
  QUOIN_UNROLL
  for (int m = 0; m < Rows; ++m) {
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      auto sum = acc[m][v].data;
      QUOIN_PIN(sum);
      acc[m][v] = sum;
    }
  }
#endif
}

// Rows [begin, end) of the column panel that starts at `column` and is Blocks blocks wide.
template <class Kernel, int Blocks, class Args>
void panel(const Args& args, int64_t begin, int64_t end, int64_t column) {
  constexpr int kRows = Kernel::kRows[Blocks];
  int64_t row = begin;
  for (; row + kRows <= end; row += kRows) Kernel::template tile<kRows, Blocks>(args, row, kRows, column);
  while (row < end) {
    const int64_t rest = end - row;
    int64_t done = rest;
    if (rest == 1) {
      Kernel::template tile<1, Blocks>(args, row, 1, column);
    } else if (rest <= kRows / 2) {
      Kernel::template tile<kRows / 2, Blocks>(args, row, rest, column);
    } else {
      Kernel::template tile<kRows, Blocks>(args, row, rest, column);
    }
    row += done;
  }
}

// Rows [begin, end) of all columns.
template <class Kernel, class Args>
void panels(const Args& args, int64_t begin, int64_t end) {
  const int64_t blocks = (args.n + kBlock - 1) / kBlock;
  for (int64_t block = 0; block < blocks;) {
    const int64_t left = blocks - block, groups = (left + Kernel::kBlocks - 1) / Kernel::kBlocks;
    const int64_t width = (left + groups - 1) / groups;  // even widths: 5 blocks are 3 + 2, not 4 + 1
    if (width == 1) panel<Kernel, 1>(args, begin, end, block * kBlock);
    if constexpr (Kernel::kBlocks >= 2) {
      if (width == 2) panel<Kernel, 2>(args, begin, end, block * kBlock);
    }
    if constexpr (Kernel::kBlocks >= 4) {
      if (width == 3) panel<Kernel, 3>(args, begin, end, block * kBlock);
      if (width == 4) panel<Kernel, 4>(args, begin, end, block * kBlock);
    }
    block += width;
  }
}

// Kernel::kRowUnit: a multiple of the rows of its tiles.
template <class Kernel, class Args>
void walk(const Args& args, int64_t row_bytes) {
  const int64_t block_bytes = args.n > kLargeB / larger(row_bytes, 1) ? kLargeRowBlockBytes : kRowBlockBytes;
  constexpr int64_t kUnit = Kernel::kRowUnit;
  const int64_t step = larger(block_bytes / larger(row_bytes, 1) / kUnit * kUnit, kUnit);
  for (int64_t begin = 0; begin < args.rows; begin += step)
    panels<Kernel>(args, begin, smaller(args.rows, begin + step));
}

// -- u8 x s8

template <class T>
struct StoreU8 {
  using Call = GemmU8;
  struct Args : Call {
    Args(const Call& g) : Call(g), fits(products_fit<T>(g.out.multiplier, g.n)) {}
    bool fits;
  };
  using I = typename T::I;
  static constexpr int kPerBlock = kBlock / T::kLanes;  // vectors of a block
  static constexpr int kTogether = 4 / kPerBlock;       // blocks that become bytes together

  template <int Rows, int Vectors>
  static QUOIN_INLINE void store(const Args& g, int64_t row, int64_t rows, int64_t column,
                                 const I (&acc)[Rows][Vectors]) {
    if (g.fits) {
      store_tile<true>(g, row, rows, column, acc);
    } else {
      store_tile<false>(g, row, rows, column, acc);
    }
  }
  // A single row is not worth a look at its multipliers.
  template <int Vectors>
  static QUOIN_INLINE void store_row(const Call& g, int64_t column, const I (&acc)[1][Vectors]) {
    store_tile<false>(g, 0, 1, column, acc);
  }

 private:
  struct Place {
    uint8_t* y;
    int64_t stride, rows, columns;
  };

  template <bool Fits, int Rows, int Vectors>
  static QUOIN_INLINE void store_tile(const Call& g, int64_t row, int64_t rows, int64_t column,
                                      const I (&acc)[Rows][Vectors]) {
    const Narrower<T> narrower(g.out.zero_point, g.out.low, g.out.high);
    typename T::F multiplier[Vectors];
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) multiplier[v] = T::load(g.out.multiplier + column + v * T::kLanes);
    const Place to{g.y + row * g.y_stride + column, g.y_stride, rows, g.n - column};
    // Constant indices into acc, or it is kept in memory.
    [&]<int... Group>(std::integer_sequence<int, Group...>) QUOIN_LAMBDA_INLINE {
      (store_group<Group, Fits>(narrower, to, acc, multiplier), ...);
    }
    (std::make_integer_sequence<int, (Rows * Vectors + 3) / 4>());
  }

  // Vectors [4 * Group, 4 * Group + 4) of the tile; behind the last one, that one again.
  template <int Group, bool Fits, int Rows, int Vectors>
  static QUOIN_INLINE void store_group(const Narrower<T>& narrower, const Place& to, const I (&acc)[Rows][Vectors],
                                       const typename T::F (&multiplier)[Vectors]) {
    constexpr int kBlocks = Vectors / kPerBlock, kFirst = Group * kTogether, kLast = Rows * Vectors - 1;
    const auto steps = [&]<int Index>() QUOIN_LAMBDA_INLINE {
      constexpr int kAt = Group * 4 + Index < kLast ? Group * 4 + Index : kLast;
      return narrower.template steps<Fits>(acc[kAt / Vectors][kAt % Vectors], multiplier[kAt % Vectors]);
    };
    const I all[4] = {steps.template operator()<0>(), steps.template operator()<1>(), steps.template operator()<2>(),
                      steps.template operator()<3>()};
    const I bytes = T::by_vector(narrower.pack(all));
    if constexpr (kBlocks % kTogether == 0) {
      constexpr int kRow = kFirst / kBlocks, kColumn = kFirst % kBlocks * static_cast<int>(kBlock);
      if (kRow < to.rows) T::store_bytes(to.y + kRow * to.stride + kColumn, bytes, to.columns - kColumn);
    } else {
      [&]<int... Index>(std::integer_sequence<int, Index...>) QUOIN_LAMBDA_INLINE {
        (store_block<kFirst + Index, Index, kBlocks, Rows>(to, bytes), ...);
      }
      (std::make_integer_sequence<int, kTogether>());
    }
  }
  template <int Block, int Index, int Blocks, int Rows>
  static QUOIN_INLINE void store_block(const Place& to, I bytes) {
    constexpr int kRow = Block / Blocks, kColumn = Block % Blocks * static_cast<int>(kBlock);
    if constexpr (kRow < Rows)
      if (kRow < to.rows)
        T::template store_block<Index>(to.y + kRow * to.stride + kColumn, bytes, to.columns - kColumn);
  }
};

template <class T>
struct StoreF32 {
  using Call = GemmU8F32;
  using Args = Call;
  template <int Rows, int Vectors>
  static QUOIN_INLINE void store(const Args& g, int64_t row, int64_t rows, int64_t column,
                                 const typename T::I (&acc)[Rows][Vectors]) {
    const typename T::F low = T::set1(g.low), high = T::set1(g.high);
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const int64_t c = column + v * T::kLanes, n = smaller(g.n - c, T::kLanes);
      if (n <= 0) continue;
      const typename T::F multiplier = T::load(g.multiplier + c);
      const typename T::I sums = g.row_zero ? T::load_int(g.sums + c) : T::set1_int(0);
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) {
        if (m >= rows) continue;
        const typename T::I zero = T::set1_int(g.row_zero ? g.row_zero[row + m] : 0);
        const typename T::F scale = T::set1(g.row_scale ? g.row_scale[row + m] : 1.0f);
        typename T::F y = T::to_float(T::sub_int(acc[m][v], T::mul_int(zero, sums))) * (scale * multiplier);
        if (g.float_bias) y = y + T::load_n(g.float_bias + c, n);
        T::store_n(g.y + (row + m) * g.y_stride + c, T::min(high, T::max(low, y)), n);
      }
    }
  }
  template <int Vectors>
  static QUOIN_INLINE void store_row(const Call& g, int64_t column, const typename T::I (&acc)[1][Vectors]) {
    store(g, 0, 1, column, acc);
  }
};

template <class T, class Store>
struct DotKernel {
  static constexpr int kBlocks = T::kDotBlocks;
  static constexpr const int* kRows = T::kDotRows;
  static constexpr int64_t kRowUnit = 24;

  // Rows [row, row + rows), rows <= Rows: missing rows repeat the last one and are not stored.
  template <int Rows, int Blocks>
  static void tile(const typename Store::Args& g, int64_t row, int64_t rows, int64_t column) {
    constexpr int kPerBlock = kBlock / T::kLanes, kVectors = Blocks * kPerBlock;
    const int64_t run = round_to(g.k, 4), groups = g.window.runs * run / 4, block_bytes = groups * 4 * kBlock;
    const int8_t* b = g.b + column / kBlock * block_bytes;
    const uint8_t* a[Rows];
    QUOIN_UNROLL
    for (int m = 0; m < Rows; ++m) a[m] = row_of(g, row + smaller(m, rows - 1));
    typename T::I acc[Rows][kVectors];
    QUOIN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const typename T::I bias = g.bias ? T::load_int(g.bias + column + v * T::kLanes) : T::set1_int(0);
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) acc[m][v] = bias;
    }
    RunWalk at(g.window, run, 4);
    for (int64_t group = 0; group < groups; ++group, at.next(), b += 4 * kBlock) {
      typename T::W w[kVectors];
      QUOIN_UNROLL
      for (int v = 0; v < kVectors; ++v)
        w[v] = T::prepare_w(T::load_bytes(b + (v / kPerBlock) * block_bytes + (v % kPerBlock) * 4 * T::kLanes));
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) {
        const typename T::X x = T::prepare_x(T::set1_int(load32(a[m] + at.k)));
        QUOIN_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[m][v] = T::dot4(acc[m][v], x, w[v]);
      }
    }
    keep(acc);
    Store::template store<Rows, kVectors>(g, row, rows, column, acc);
  }
};

// -- f32

template <class T>
struct FmaKernel {
  static constexpr int kBlocks = T::kFmaBlocks;
  static constexpr const int* kRows = T::kFmaRows;
  static constexpr int64_t kRowUnit = 24;
  using F = typename T::F;

  template <int Rows, int Vectors, bool Whole>
  static QUOIN_INLINE void accumulate(const GemmF32& g, const float* const (&a)[Rows], int64_t column,
                                      F (&acc)[Rows][Vectors]) {
    constexpr int kPerBlock = kBlock / T::kLanes;
    const float* b = g.b + column / kBlock * g.b_block_stride;
    const int64_t depth = g.window.runs * g.k;
    RunWalk at(g.window, g.k, 1);
    for (int64_t k = 0; k < depth; ++k, at.next(), b += g.b_row_stride) {
      F w[Vectors];
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const float* p = b + (v / kPerBlock) * g.b_block_stride + (v % kPerBlock) * T::kLanes;
        const int64_t n = Whole ? T::kLanes : larger(smaller(g.n - column - v * T::kLanes, T::kLanes), 0);
        w[v] = T::load_n(p, n);
      }
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) {
        const F x = T::set1(a[m][at.k]);
        QUOIN_UNROLL
        for (int v = 0; v < Vectors; ++v) acc[m][v] = T::fma(x, w[v], acc[m][v]);
      }
    }
  }

  template <int Rows, int Blocks>
  static void tile(const GemmF32& g, int64_t row, int64_t rows, int64_t column) {
    constexpr int kVectors = Blocks * kBlock / T::kLanes;
    const float* a[Rows];
    QUOIN_UNROLL
    for (int m = 0; m < Rows; ++m) a[m] = row_of(g, row + smaller(m, rows - 1));
    F acc[Rows][kVectors];
    QUOIN_UNROLL
    for (int m = 0; m < Rows; ++m) {
      QUOIN_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[m][v] = T::set1(0);
    }
    // Packed weights are padded to whole blocks; rows of a foreign matrix must not be read past their end.
    const bool whole = column + kVectors * T::kLanes <= g.n || g.b_row_stride == kBlock;
    if (whole) {
      accumulate<Rows, kVectors, true>(g, a, column, acc);
    } else {
      accumulate<Rows, kVectors, false>(g, a, column, acc);
    }
    keep(acc);
    store<Rows, kVectors>(g, row, rows, column, acc);
  }

  template <int Rows, int Vectors>
  static QUOIN_INLINE void store(const GemmF32& g, int64_t row, int64_t rows, int64_t column,
                                 const F (&acc)[Rows][Vectors]) {
    const F low = T::set1(g.low), high = T::set1(g.high), scale = T::set1(g.scale);
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const int64_t c = column + v * T::kLanes, n = smaller(g.n - c, T::kLanes);
      if (n <= 0) continue;
      const F bias = g.bias ? T::load_n(g.bias + c, n) : T::set1(0);
      QUOIN_UNROLL
      for (int m = 0; m < Rows; ++m) {
        if (m >= rows) continue;
        const F offset = g.row_bias ? bias + T::set1(g.row_bias[row + m]) : bias;
        T::store_n(g.y + (row + m) * g.y_stride + c, T::min(high, T::max(low, T::fma(acc[m][v], scale, offset))), n);
      }
    }
  }
};

template <class T>
void gemm_f32(const GemmF32& g) {
  walk<FmaKernel<T>>(g, g.a_stride * static_cast<int64_t>(sizeof(float)));
}

}  // namespace
}  // namespace quoin::cpu
