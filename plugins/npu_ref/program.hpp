// The blob of npu_ref, format 1: header, ports, commands, data. Little-endian, every part 64-byte aligned.
//
//   Header
//   Port[num_inputs + num_outputs]   what the delegate takes and gives (dense, row-major)
//   Command[num_commands]            the command stream, executed in order
//   data                             weights and lane parameters, used in place
//
// Tensors live in device memory, one arena planned by the compiler. A tensor is [C / 16][H][W][16]: blocks of sixteen
// channels; lanes beyond C hold anything. Every field is checked when a blob is loaded (validate.cpp).
#pragma once

#include <cstdint>
#include <type_traits>

#include "limits.hpp"

namespace quoin::npu {

inline constexpr uint32_t kMagic = 0x31555051;  // "QPU1"
inline constexpr uint32_t kBlobFormat = 1;
inline constexpr uint64_t kAlign = 64;
inline constexpr uint32_t kMaxRank = 4;

struct Header {
  uint32_t magic = kMagic, format = kBlobFormat;
  uint32_t num_inputs = 0, num_outputs = 0, num_commands = 0, reserved = 0;
  uint64_t arena_bytes = 0;  // device memory
  uint64_t sram_bytes = 0;   // on-chip buffer, of each core
  uint64_t data_bytes = 0;
};

struct Port {
  uint32_t dtype = 0, rank = 0;
  int64_t dims[kMaxRank] = {};
};

struct Shape {
  int32_t channels = 1, height = 1, width = 1;
  bool operator==(const Shape&) const = default;
};

enum class Kind : uint32_t {
  load,       // port x -> tensor y
  store,      // tensor x -> port y
  convolve,   // every input channel under the window times weights
  depthwise,  // each channel by itself
  max_pool,
  average,  // sum under the window, divided
  add,      // x + x2
  move,     // x into y at (block, row, column), zero around it: padding, concatenation, rescaling, clamps
  count_
};

// Offsets are in bytes, from the start of the arena (x, x2, y) or of the data (weights, lanes). Which fields a kind
// reads is said in validate.cpp; the others are zero. A result is
//   clamp(round_half_even(accumulator / 2^shift), low, high)
// with the shift of its lane (convolve, depthwise) or `right` (add, move); average divides by divisor * 2^right.
struct Command {
  Kind kind = Kind::load;
  uint32_t x_bytes = 1, y_bytes = 1;  // of an element: 1 or 2
  uint32_t reserved = 0;
  uint64_t debug_id = 0;
  uint64_t x = 0, x2 = 0, y = 0;
  uint64_t weights = 0;  // [blocks of y][C of x][kernel_h][kernel_w][16] int8 (depthwise: without C of x)
  uint64_t lanes = 0;    // [blocks of y] Lanes
  Shape in, out;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int32_t pad_top = 0, pad_left = 0;  // below and to the right: as far as the result reaches
  int32_t low = 0, high = 0;
  int32_t left = 0, left2 = 0, right = 0;  // shifts
  int32_t divisor = 1;
  int32_t band_rows = 1;    // rows of the result computed from one filling of the on-chip buffer
  int32_t first_block = 0;  // move: where x begins among the blocks of y
};

// Sixteen output channels: int32 bias in units of the accumulator, and the shift behind it.
struct Lanes {
  int32_t bias[kLanes] = {};
  int32_t shift[kLanes] = {};
};

// No padding: the same graph gives the same bytes.
static_assert(std::is_trivially_copyable_v<Command> && sizeof(Command) == 144);
static_assert(sizeof(Header) == 48 && sizeof(Port) == 40 && sizeof(Lanes) == 128);

}  // namespace quoin::npu
