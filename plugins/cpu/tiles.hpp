// Sizes that compiler and executor must agree on.
#pragma once

#include <algorithm>

#include "kernels/kernels.hpp"
#include "kernels/language.hpp"
#include "kernels/pack.hpp"
#include "program.hpp"

namespace quoin::cpu {

inline constexpr int64_t kPackedColumns = 16;  // of a block of a packed float matrix

// How a convolution walks over its image: strips of output rows, the windows of whose pixels are rows of a matrix
// (kernels.hpp, Windows).
struct WindowPlan {
  int64_t runs = 1, run = 0;                 // of a window; elements of each
  bool copied = false;                       // windows leave the image: a strip is copied together with its padding
  int64_t strip = 1;                         // output rows at a time
  int64_t in_rows = 0, width = 0;            // of the image under a strip; width includes the padding where copied
  uint64_t copy_bytes = 0, table_bytes = 0;  // in the memory of a worker: the copy, then pointers, then jumps

  uint64_t worker_bytes() const { return copy_bytes + table_bytes; }
};

// Elements between the first and behind the last that a row of windows reaches.
inline int64_t window_reach(int64_t out, int64_t stride, int64_t kernel, int64_t dilation) {
  return (out - 1) * stride + (kernel - 1) * dilation + 1;
}

// channels: of a window; x_stride: of a pixel. Sizes are checked before, or come from a graph.
inline WindowPlan plan_windows(const Geometry& w, int64_t channels, int64_t x_stride, int64_t element_size) {
  constexpr int64_t kStripBytes = 48 * 1024;  // copied, multiplied and forgotten within the caches of a core
  WindowPlan p;
  const bool whole = w.dilation_w == 1 && channels == x_stride;  // a row of a window is one piece of memory
  p.runs = whole ? w.kernel_h : int64_t{w.kernel_h} * w.kernel_w;
  p.run = whole ? w.kernel_w * channels : channels;
  const int64_t reach_h = window_reach(w.out_h, w.stride_h, w.kernel_h, w.dilation_h);
  const int64_t reach_w = window_reach(w.out_w, w.stride_w, w.kernel_w, w.dilation_w);
  p.copied = w.pad_top > 0 || w.pad_left > 0 || reach_h > w.in_h || reach_w > w.in_w;
  p.width = p.copied ? reach_w : w.in_w;
  const int64_t row_bytes = p.width * x_stride * element_size;
  p.strip = std::clamp<int64_t>(kStripBytes / (row_bytes * w.stride_h), 1, w.out_h);
  p.in_rows = window_reach(p.strip, w.stride_h, w.kernel_h, w.dilation_h);
  const auto room = [](int64_t bytes) { return static_cast<uint64_t>(round_up(bytes, kAlign)); };
  p.copy_bytes = p.copied ? room(p.in_rows * row_bytes + kReadPadding) : 0;
  p.table_bytes = room((p.strip * w.out_w + p.runs) * int64_t{sizeof(void*)});
  return p;
}

// Tokens whose attention a worker computes at a time, where `heads` query heads share a key/value head: enough that
// packing the keys pays.
inline int64_t attention_tokens(int64_t heads) { return std::max<int64_t>(64 / heads, 1); }
inline uint64_t attention_bytes(int64_t heads, int64_t length, int64_t value_length) {
  return static_cast<uint64_t>(attention_floats(attention_tokens(heads) * heads, length, value_length)) * sizeof(float);
}

// Scaled dot product attention: rows whose scores a worker has at a time, and rows that it takes at once.
inline constexpr int64_t kSdpaRows = 32, kSdpaPart = 128;
// The packed keys of a head, and the scores.
inline int64_t sdpa_floats(int64_t keys, int64_t width) {
  return round_up(keys, kPackedColumns) * width + kSdpaRows * keys;
}

}  // namespace quoin::cpu
