// Low-bit weights with one scale per group of consecutive k: what decoding and prefill of a language model multiply by.
// The conventions of kernels.hpp hold; functions that run on every tier are members of KernelTable.
//
//   layout = GroupedLayout::make({n, k, group, bits, scale type, zeros})     sizes; checks untrusted specs
//   pack_grouped (pack_grouped.hpp)                                         row-major codes -> packed, corr
//   quantize_tokens -> codes, sums, scale and zero point of every row
//   gemm_grouped    -> y; the same bits on every tier, for any split into rows and blocks
#pragma once

#include <cstdint>
#include <optional>

#include "kernels.hpp"

namespace quoin::cpu {

enum class ScaleType : uint32_t { f32, f16, bf16 };
inline constexpr int64_t scale_bytes(ScaleType type) { return type == ScaleType::f32 ? 4 : 2; }

inline constexpr int64_t kGroupedBlock = 16;       // output rows that are packed side by side
inline constexpr int64_t kGroupedChunk = 32;       // codes of a token that are quantized into one piece of memory
inline constexpr int64_t kMaxGroup = 65504;        // sums of 8-bit products over a group must fit int32
inline constexpr int64_t kGroupedPanelBlocks = 4;  // blocks of weights that gemm_grouped_f32 expands at a time

struct GroupedSpec {
  int64_t n = 0, k = 0;  // output rows, inputs of each
  int64_t group = 32;    // consecutive inputs that share a scale: a multiple of 8; the last group may be shorter.
                         // One scale per row: round_up(k, 8)
  uint32_t bits = 4;     // 2, 4 or 8: codes are two's complement
  ScaleType scale = ScaleType::f16;
  bool zeros = false;  // a zero point per group, -128..127; without: all zero
};

// Where everything is in packed weights. Blocks of 16 rows (the last one padded) follow each other; a block is
// sections of `section_groups` groups:
//   [section_groups heads, each: 16 scales, 16 zero points + 128 (u8) if any; together whole cache lines]
//   [codes of each group of the section: stored_group / (32 / bits) vectors of 64 bytes]
// The last section may have fewer groups of codes. 32-bit word r of vector v belongs to output row r; its byte j holds
// the codes of k = v * (32 / bits) + 4 * f + j, field f = 0, 1, ... from the low bits, plus offset(), so that they are
// unsigned. Codes past the end of a row or of a group are 0.
struct GroupedLayout {
  GroupedSpec spec;
  int64_t blocks = 0;          // of 16 rows
  int64_t groups = 0;          // per row
  int64_t stored_group = 0;    // k of a group in packed weights, padded
  int64_t section_groups = 1;  // groups whose scales are stored together
  int64_t head_bytes = 0;      // scales and zero points of one group of a block
  int64_t heads_bytes = 0;     // section_groups * head_bytes, a multiple of 64
  int64_t group_bytes = 0;     // codes of one group of a block, a multiple of 64
  int64_t block_bytes = 0, bytes = 0;

  // Nothing: a spec that no kernel handles (n, k or group < 1, group not a multiple of 8 or above kMaxGroup or
  // round_up(k, 8), unknown bits or scale type) or whose sizes do not fit int64.
  static std::optional<GroupedLayout> make(const GroupedSpec& spec);

  int32_t offset() const { return 1 << (spec.bits - 1); }
  // What quantize_tokens must multiply its sums by: codes are stored with an offset that the sums take off again.
  int32_t sum_factor() const { return spec.zeros ? -1 : -offset(); }
};

// Codes of tokens: [chunks][rows][32] s8, so that rows of any number are read in one stream; every group starts a new
// chunk, the rest of its last chunk is zero. Depends on k and group only: weights of the same k, group and sum_factor
// share one quantization. For one row and groups of a multiple of 32 that is the row itself.
// k and group must come from a valid spec.
inline constexpr int64_t token_chunks(int64_t k, int64_t group) {
  return (k + group - 1) / group * ((group + kGroupedChunk - 1) / kGroupedChunk);
}

// Dynamic activations per row, as numerics::choose_dynamic and quantize_dynamic make them, bit for bit. NaN counts in
// no range and becomes -128; with an infinite element the codes of the row are defined but useless.
struct QuantizeTokens {
  const float* x = nullptr;  // [rows][x_stride]
  int64_t x_stride = 0;
  int8_t* codes = nullptr;        // [token_chunks][rows][32]
  int32_t* sums = nullptr;        // [groups][rows]: sum_factor * sum of the group's codes
  float* scale = nullptr;         // [rows]
  int32_t* zero_point = nullptr;  // [rows], in -128..127
  int64_t rows = 0;               // of all arrays
  int64_t row_begin = 0, row_end = 0;
  int64_t k = 0, group = 32;
  int32_t sum_factor = -8;
  RowParams (*choose)(uint32_t scheme, float eps, float min, float max) = nullptr;  // choose_token
  uint32_t scheme = 0;                                                              // numerics::Dynamic
  float eps = 0;
};
// QuantizeTokens::choose: numerics::choose_dynamic for codes -128..127.
RowParams choose_token(uint32_t scheme, float eps, float min, float max);

// numerics::dequantize_groups for rows [row_begin, row_end) and output rows of blocks [block_begin, block_end):
//   acc     = sum over groups in order of float(sum over the group of xq * (wq - zw)) * s[n][g]
//   y[m][n] = clamp((acc - float(zero_point[m]) * corr[n]) * scale[m] + bias[n], low, high)
// every product and every sum rounded on its own: the same bits on every tier and for every split.
struct GemmGrouped {
  const GroupedLayout* layout = nullptr;
  const uint8_t* weights = nullptr;  // pack_grouped; 64-byte aligned is fastest
  const float* corr = nullptr;       // [blocks * 16]
  const int8_t* codes = nullptr;     // the four of quantize_tokens
  const int32_t* sums = nullptr;
  const float* scale = nullptr;
  const int32_t* zero_point = nullptr;
  int64_t rows = 0;             // of codes and sums
  const float* bias = nullptr;  // [n], not read past n; null: none
  float* y = nullptr;           // [rows][y_stride]
  int64_t y_stride = 0;
  int64_t row_begin = 0, row_end = 0, block_begin = 0, block_end = 0;
  float low = -__builtin_inff(), high = __builtin_inff();
};

// Weight only: y[m][n] = clamp(sum_k x[m][k] * ((wq - zw) * s) + bias[n], low, high) in float. The order of the sums
// differs between tiers and between few and many rows: |error| <= (k + 2) * 2^-23 * sum_k |x[m][k] * w[n][k]|.
struct GemmGroupedF32 {
  const GroupedLayout* layout = nullptr;
  const uint8_t* weights = nullptr;
  const float* x = nullptr;  // [rows][x_stride], not read past k
  int64_t x_stride = 0;
  const float* bias = nullptr;  // [n], not read past n; null: none
  float* y = nullptr;           // [rows][y_stride]
  int64_t y_stride = 0;
  int64_t rows = 0, block_begin = 0, block_end = 0;
  float* panel = nullptr;  // scratch of each call: grouped_panel(layout) floats
  float low = -__builtin_inff(), high = __builtin_inff();
};
inline constexpr int64_t grouped_panel(const GroupedLayout& layout) {
  return kGroupedPanelBlocks * kGroupedBlock * layout.spec.k;
}

// Rows of a row-major table of codes (element 0 in the low bits, every row starts on a byte) in float:
// y[i][c] = float(code - zero point) * scale for row indices[i], which the caller has checked.
struct EmbedGrouped {
  const uint8_t* codes = nullptr;  // [n][(k * bits + 7) / 8]
  const void* scales = nullptr;    // [n][ceil(k / group)] of spec.scale
  const int8_t* zeros = nullptr;   // [n][ceil(k / group)]; null unless spec.zeros
  GroupedSpec spec;                // n is not read
  const int64_t* indices = nullptr;
  int64_t count = 0;
  float* y = nullptr;  // [count][y_stride]
  int64_t y_stride = 0;
};

}  // namespace quoin::cpu
