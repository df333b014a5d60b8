// Sizes that compiler and executor must agree on.
#pragma once

#include <algorithm>

#include "kernels/kernels.hpp"
#include "kernels/language.hpp"
#include "kernels/pack.hpp"
#include "program.hpp"

namespace quoin::cpu {

inline constexpr int64_t kPackedColumns = 16;  // of a block of a packed float matrix

// Rows of the unfolded image (im2col) that a worker makes at a time: about 32 KiB, a multiple of 16.
inline int64_t tile_rows(int64_t k, int64_t element_size) {
  return std::clamp<int64_t>(32768 / (k * element_size) / 16 * 16, 16, 512);
}
// Elements between those rows.
inline int64_t tile_stride(int64_t k) { return (k + 15) / 16 * 16; }
inline uint64_t tile_bytes(int64_t k, int64_t element_size) {
  return static_cast<uint64_t>(tile_rows(k, element_size) * tile_stride(k) * element_size + kReadPadding);
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
