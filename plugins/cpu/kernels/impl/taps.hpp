// Where the taps of sliding windows lie.
#pragma once

#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

// 10 * size + stride of a square kernel without dilation whose strides are equal, else 0: sizes that kernels unroll.
QUOIN_INLINE int square_kernel(const Window& w) {
  const bool square = w.kernel_h == w.kernel_w && w.stride_h == w.stride_w && w.dilation_h == 1 && w.dilation_w == 1;
  return square && w.stride_w < 10 ? w.kernel_w * 10 + w.stride_w : 0;
}

// Taps [from, to) of the kernel whose input row (column) start + k * dilation lies in [0, limit).
struct TapRange {
  int64_t from, to;
};
QUOIN_INLINE TapRange taps_inside(int64_t start, int64_t dilation, int64_t kernel, int64_t limit) {
  const int64_t from = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t to = start >= limit ? 0 : (limit - start + dilation - 1) / dilation;
  return {smaller(from, kernel), smaller(larger(to, 0), kernel)};
}

}  // namespace
}  // namespace quoin::cpu
