// Weights in the order that the grouped kernels read them (grouped.hpp): one layout for every tier.
#pragma once

#include <span>

#include "grouped.hpp"

namespace quoin::cpu {

// Row-major weights as a graph has them.
struct GroupedSource {
  const uint8_t* codes = nullptr;  // [n][(k * bits + 7) / 8], two's complement, element 0 in the low bits of byte 0
  const float* scales = nullptr;   // [n][groups]; each exact in spec.scale
  const int8_t* zeros = nullptr;   // [n][groups]; null unless spec.zeros
};

// The smallest type (f16 before bf16) that holds every scale exactly.
ScaleType exact_scale_type(std::span<const float> scales);
// The scales one behind the other, each exact in `type`: scales.size() * scale_bytes(type) bytes.
void store_scales(ScaleType type, std::span<const float> scales, uint8_t* to);

// Writes blocks [block_begin, block_end): `packed` and `corr` are those of all blocks (layout.bytes bytes and
// layout.blocks * 16 floats), so ranges may be packed on different threads.
//   corr[n] = sum over groups in order of float(sum over the group of (wq - zw)) * s[n][g]; 0 for padded rows
void pack_grouped(const GroupedLayout& layout, const GroupedSource& source, int64_t block_begin, int64_t block_end,
                  uint8_t* packed, float* corr);

}  // namespace quoin::cpu
