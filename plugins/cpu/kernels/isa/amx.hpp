// The tile registers of AMX: eight of 16 rows by 64 bytes. Instructions by hand, since the intrinsics of compilers take
// no template argument for the number of a tile.
#pragma once

#include "common.hpp"

namespace quoin::cpu {
namespace {

class AmxTiles {
 public:
  // Tiles are shaped once per kernel call: calling conventions leave their shape to whoever runs in between, and tiles
  // that are in use make every switch of threads save 8 KB.
  class Session {
   public:
    Session() {
      Config config;
      __asm__ volatile("ldtilecfg %0" : : "m"(config));
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { __asm__ volatile("tilerelease"); }
  };

  template <int Tile>
  QUOIN_INLINE void load(const void* p, int64_t stride) {
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(p), "r"(stride) : "memory");
  }
  template <int Tile>
  QUOIN_INLINE void store(void* p, int64_t stride) const {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(p), "r"(stride) : "memory");
  }
  // Sum += Left (u8) * Right (s8).
  template <int Sum, int Left, int Right>
  QUOIN_INLINE void dot() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(Left), "i"(Right));
  }

 private:
  // The operand of ldtilecfg.
  struct alignas(64) Config {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static_assert(sizeof(Config) == 64);
};

}  // namespace
}  // namespace quoin::cpu
