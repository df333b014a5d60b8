// What the device computes, on integers alone: this header and kernels.cpp hold no floating-point type, and a test
// compiles them with floating-point registers forbidden.
//
// Accumulators are 32 bits wide and wrap; the compiler claims only layers that cannot wrap. Rounding is to nearest,
// halves to even, once. All functions are reentrant and trust their command: validate.cpp has checked it.
#pragma once

#include "program.hpp"

namespace quoin::npu {

// One type of activations, int8_t or int16_t. `block` counts blocks of sixteen channels, rows and pixels are of the
// result unless said otherwise.
template <class T>
struct Kernels {
  // A block of a port, [channels][pixels], into device memory, and back.
  void (*load)(const Command&, int32_t block, const T* port, T* y);
  void (*store)(const Command&, int32_t block, const T* x, T* port);
  // The rows of x under `rows` rows of the result into the on-chip buffer: band_blocks() blocks from `block` on.
  // Outside the image stands zero (max_pool: the lowest integer).
  struct Band {
    int32_t block, first_row, rows;
  };
  void (*fetch)(const Command&, const Band&, const T* x, T* band);
  // One block of a band of the result.
  struct Weights {
    const int8_t* integers;
    const Lanes* lanes;
  };
  void (*convolve)(const Command&, int32_t rows, const T* band, const Weights&, T* y);
  void (*depthwise)(const Command&, int32_t rows, const T* band, const Weights&, T* y);
  void (*max_pool)(const Command&, int32_t rows, const T* band, T* y);
  void (*average)(const Command&, int32_t rows, const T* band, T* y);
  // `count` elements.
  void (*add)(const Command&, int64_t count, const T* x, const T* x2, T* y);
  // One row of x, or null for a row of padding, into one row of y.
  void (*move_from_s8)(const Command&, const int8_t* x, T* y);
  void (*move_from_s16)(const Command&, const int16_t* x, T* y);
};

struct KernelTable {
  Kernels<int8_t> s8;
  Kernels<int16_t> s16;
};

const KernelTable& kernels();

}  // namespace quoin::npu
