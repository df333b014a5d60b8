// Sizes that follow from a command; the compiler plans with them, the executor checks and addresses with them.
// Dims are within limits.hpp, so nothing overflows.
#pragma once

#include "program.hpp"

namespace quoin::npu {

constexpr int32_t blocks(int32_t channels) { return (channels + kLanes - 1) / kLanes; }
constexpr uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Elements of one block of channels.
constexpr int64_t block_elements(const Shape& s) { return int64_t{s.height} * s.width * kLanes; }
constexpr uint64_t tensor_bytes(const Shape& s, uint32_t element) {
  return static_cast<uint64_t>(blocks(s.channels) * block_elements(s)) * element;
}

// The part of x that `rows` rows of the result need, padding included, in pixels.
constexpr int32_t band_height(const Command& c, int32_t rows) { return (rows - 1) * c.stride_h + c.kernel_h; }
constexpr int32_t band_width(const Command& c) { return (c.out.width - 1) * c.stride_w + c.kernel_w; }
// Blocks of channels that one block of the result is computed from.
constexpr int32_t band_blocks(const Command& c) { return c.kind == Kind::convolve ? blocks(c.in.channels) : 1; }
constexpr uint64_t band_bytes(const Command& c, int32_t rows) {
  const int64_t pixels = int64_t{band_height(c, rows)} * band_width(c);
  return aligned(static_cast<uint64_t>(band_blocks(c) * pixels * kLanes) * c.x_bytes);
}

// Weights of one block of the result.
constexpr uint64_t weight_block_bytes(const Command& c) {
  if (c.kind != Kind::convolve && c.kind != Kind::depthwise) return 0;
  const int64_t depth = c.kind == Kind::convolve ? c.in.channels : 1;
  return static_cast<uint64_t>(depth * c.kernel_h * c.kernel_w * kLanes);
}

// What a window command keeps on chip while it computes `rows` rows of one block of the result.
constexpr uint64_t sram_need(const Command& c, int32_t rows) {
  const uint64_t result = static_cast<uint64_t>(int64_t{rows} * c.out.width * kLanes) * c.y_bytes;
  const uint64_t lanes = weight_block_bytes(c) == 0 ? 0 : sizeof(Lanes);
  return band_bytes(c, rows) + aligned(2 * (weight_block_bytes(c) + lanes)) + aligned(result);
}

}  // namespace quoin::npu
