// The tile registers of AMX in plain C++: the same walk over tiles runs on any machine, for tests.
#pragma once

#include "common.hpp"

namespace quoin::cpu {
namespace {

class PlainTiles {
 public:
  struct Session {};

  template <int Tile>
  void load(const void* p, int64_t stride) {
    for (int r = 0; r < kRows; ++r)
      std::memcpy(tiles_[Tile].bytes[r], static_cast<const uint8_t*>(p) + r * stride, kRowBytes);
  }
  template <int Tile>
  void store(void* p, int64_t stride) const {
    for (int r = 0; r < kRows; ++r)
      std::memcpy(static_cast<uint8_t*>(p) + r * stride, tiles_[Tile].bytes[r], kRowBytes);
  }
  // Wraps like the machine instruction; unsigned, since signed overflow is undefined.
  template <int Sum, int Left, int Right>
  void dot() {
    for (int r = 0; r < kRows; ++r)
      for (int column = 0; column < kRowBytes / 4; ++column) {
        uint32_t total = word(tiles_[Sum], r, column);
        for (int k = 0; k < kRowBytes; ++k) {
          const int32_t u = tiles_[Left].bytes[r][k];
          const int32_t s = static_cast<int8_t>(tiles_[Right].bytes[k / 4][column * 4 + k % 4]);
          total += static_cast<uint32_t>(u * s);
        }
        std::memcpy(tiles_[Sum].bytes[r] + column * 4, &total, sizeof total);
      }
  }

 private:
  static constexpr int kRows = 16, kRowBytes = 64;
  struct Tile {
    uint8_t bytes[kRows][kRowBytes];
  };
  static uint32_t word(const Tile& tile, int row, int column) {
    uint32_t out;
    std::memcpy(&out, tile.bytes[row] + column * 4, sizeof out);
    return out;
  }
  Tile tiles_[8] = {};
};

}  // namespace
}  // namespace quoin::cpu
