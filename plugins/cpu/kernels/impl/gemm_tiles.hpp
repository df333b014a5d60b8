// Integer products on tile registers (isa/amx.hpp; isa/plain_tiles.hpp in tests): a block of packed weights is a column
// of right operands as it lies, 16 rows of activations are left operands, wherever they lie at one distance.
#pragma once

#include "gemm_u8.hpp"

namespace quoin::cpu {
namespace {

constexpr int kTileRows = 16;   // of every tile
constexpr int kTileDepth = 64;  // products that one instruction sums

template <int Count, class F>
QUOIN_INLINE void each_index(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) QUOIN_LAMBDA_INLINE { (f.template operator()<I>(), ...); }
  (std::make_integer_sequence<int, Count>());
}

// The parts of kTileDepth bytes that the rows of a product consist of; each may lie in several runs.
class TileDepths {
 public:
  struct Segment {
    int64_t from;  // behind where a row begins
    int to, bytes;
  };

  template <class T>
  TileDepths(const Windows<T>& w, int64_t run) : at_(w.first), run_(run), left_(run), runs_(w.runs), jumps_(w.jumps) {}

  // False at the end.
  bool next() {
    count_ = filled_ = 0;
    while (filled_ < kTileDepth && runs_ > 0) {
      const int n = static_cast<int>(smaller(left_, kTileDepth - filled_));
      segments_[count_++] = {at_, filled_, n};
      filled_ += n;
      at_ += n;
      left_ -= n;
      if (left_ > 0) continue;
      left_ = run_;
      if (--runs_ > 0) at_ += *jumps_++ - run_;
    }
    return filled_ > 0;
  }

  int filled() const { return filled_; }
  bool whole() const { return count_ == 1 && filled_ == kTileDepth; }
  int64_t from() const { return segments_[0].from; }
  // This part of one row, zeros behind it.
  void copy(const uint8_t* row, uint8_t* to) const {
    if (whole()) {
      std::memcpy(to, row + from(), kTileDepth);
      return;
    }
    std::memset(to, 0, kTileDepth);
    for (int s = 0; s < count_; ++s)
      std::memcpy(to + segments_[s].to, row + segments_[s].from, static_cast<size_t>(segments_[s].bytes));
  }

 private:
  int64_t at_, run_, left_, runs_;
  const int64_t* jumps_;
  Segment segments_[kTileDepth / 4];
  int count_ = 0, filled_ = 0;
};

template <class T, class Tiles, class Store>
struct TileKernel {
  using Args = typename Store::Args;
  static constexpr int kBlocks = 2;
  static constexpr int kRows[kBlocks + 1] = {0, 2 * kTileRows, 2 * kTileRows};
  static constexpr int64_t kRowUnit = 2 * kTileRows;

  // Memory for operands that do not lie as tiles.
  struct alignas(64) Copies {
    uint8_t left[2][kTileRows][kTileDepth];
    int8_t right[2][kTileRows][kTileDepth];
    int32_t sums[2 * kTileRows][2 * kBlock];
  };

  template <int Rows, int Blocks>
  static void tile(const Args& g, int64_t row, int64_t rows, int64_t column) {
    constexpr int kTall = (Rows + kTileRows - 1) / kTileRows, kLeft = 4, kRight = 6;  // tiles: sums, left, right
    const int64_t run = round_to(g.k, 4), block_bytes = g.window.runs * run * kBlock;
    const int8_t* b = g.b + column / kBlock * block_bytes;
    Copies copies;
    Tiles tiles;
    start<kTall, Blocks>(tiles, g, column);
    for (TileDepths depths(g.window, run); depths.next(); b += kTileDepth * kBlock) {
      each_index<kTall>([&]<int M>() QUOIN_LAMBDA_INLINE {
        constexpr int kFirst = M * kTileRows;
        const int64_t valid = rows - kFirst;
        if (g.window.rows == nullptr && depths.whole() && valid >= kTileRows)
          return tiles.template load<kLeft + M>(g.a + (row + kFirst) * g.a_stride + depths.from(), g.a_stride);
        for (int r = 0; r < kTileRows; ++r)
          depths.copy(row_of(g, row + smaller(kFirst + r, rows - 1)), copies.left[M][r]);
        tiles.template load<kLeft + M>(copies.left[M], kTileDepth);
      });
      each_index<Blocks>([&]<int B>() QUOIN_LAMBDA_INLINE {
        const int8_t* from = b + B * block_bytes;
        if (depths.filled() == kTileDepth) return tiles.template load<kRight + B>(from, kTileDepth);
        const auto bytes = static_cast<size_t>(depths.filled() * kBlock);
        std::memset(copies.right[B], 0, sizeof copies.right[B]);  // met by zeros
        std::memcpy(copies.right[B], from, bytes);
        tiles.template load<kRight + B>(copies.right[B], kTileDepth);
      });
      each_index<kTall * Blocks>(
          [&]<int I>() QUOIN_LAMBDA_INLINE { tiles.template dot<I, kLeft + I / Blocks, kRight + I % Blocks>(); });
    }
    finish<kTall, Blocks>(tiles, copies, g, row, rows, column);
  }

 private:
  // Every sum starts with the bias of its column.
  template <int Tall, int Blocks>
  static QUOIN_INLINE void start(Tiles& tiles, const Args& g, int64_t column) {
    alignas(64) static constexpr int32_t kZeros[kBlock] = {};
    each_index<Tall * Blocks>([&]<int I>() QUOIN_LAMBDA_INLINE {
      tiles.template load<I>(g.bias ? g.bias + column + I % Blocks * kBlock : kZeros, 0);
    });
  }

  template <int Tall, int Blocks>
  static QUOIN_INLINE void finish(const Tiles& tiles, Copies& copies, const Args& g, int64_t row, int64_t rows,
                                  int64_t column) {
    constexpr int kTogether = 4, kVectors = Blocks * kBlock / T::kLanes;
    each_index<Tall * Blocks>([&]<int I>() QUOIN_LAMBDA_INLINE {
      tiles.template store<I>(&copies.sums[I / Blocks * kTileRows][I % Blocks * kBlock], sizeof copies.sums[0]);
    });
    for (int64_t r = 0; r < smaller(rows, Tall * kTileRows); r += kTogether) {
      typename T::I acc[kTogether][kVectors];
      QUOIN_UNROLL
      for (int m = 0; m < kTogether; ++m) {
        QUOIN_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[m][v] = T::load_int(copies.sums[r + m] + v * T::kLanes);
      }
      Store::template store<kTogether, kVectors>(g, row + r, rows - r, column, acc);
    }
  }
};

// Few rows would leave most of a tile empty.
template <class T, class Tiles, class Store>
void multiply_tiles(const typename Store::Call& call) {
  if (call.rows < kTileRows / 2) return multiply<T, Store>(call);
  const typename Store::Args& g = call;
  [[maybe_unused]] const typename Tiles::Session session;
  walk<TileKernel<T, Tiles, Store>>(g, g.a_stride);
}

template <class T, class Tiles>
void fill_tiles(KernelTable& table) {
  table.gemm_u8 = multiply_tiles<T, Tiles, StoreU8<T>>;
  table.gemm_u8_f32 = multiply_tiles<T, Tiles, StoreF32<T>>;
}

}  // namespace
}  // namespace quoin::cpu
