// The blob of the cpu backend, format 5: header, tensors, names, instructions, data. Little-endian, every part 64-byte
// aligned.
//
//   Header
//   TensorInfo[num_inputs + num_outputs]   what the delegate takes and gives (dense, row-major)
//   NamedInfo[num_named], keys             large weights beside the blob, which delegates of a program share
//   Instruction[num_instructions]          executed in order
//   data                                   packed weights, biases, multipliers, constants; mapped and used in place
//
// Feature maps inside are NHWC, quantized activations u8 = s8 + 128. The scratch of a run is one region; the offsets in
// it are planned at compile time by lifetime. Every field is checked when a blob is loaded (operations.hpp).
//
// Sizes are those of the longest run. Where the first dim of tensors follows the length of a run (tokens), instructions
// say with `follows` which of their sizes are multiples of it; a shorter run uses less of the same memory.
#pragma once

#include <cstdint>
#include <type_traits>

namespace quoin::cpu {

inline constexpr uint32_t kMagic = 0x55504351;  // "QCPU"
inline constexpr uint32_t kBlobFormat = 5;
inline constexpr uint64_t kAlign = 64;
inline constexpr uint32_t kMaxDims = 8;

struct Header {
  uint32_t magic = kMagic, format = kBlobFormat;
  uint32_t num_inputs = 0, num_outputs = 0, num_instructions = 0, num_named = 0;
  uint64_t scratch_bytes = 0;  // shared by all workers
  uint64_t worker_bytes = 0;   // more of it for each worker
  uint64_t data_bytes = 0, key_bytes = 0;
  int64_t length = 0;  // of the longest run; 0: every run has the same sizes
};

struct TensorInfo {
  uint32_t dtype = 0, rank = 0;
  int64_t dims[kMaxDims] = {};
  uint64_t bytes = 0;
  uint64_t follows = 0;  // 1: dims[0] is the length
};

// The key is a piece of the text behind all of these.
struct NamedInfo {
  uint64_t bytes = 0, key_offset = 0, key_size = 0;
};

// Where bytes are: a region and the offset from its start.
enum class Space : uint32_t { none, scratch, data, named, input, output };
struct Ref {
  Space space = Space::none;
  uint32_t index = 0;  // of the named data, input or output
  uint64_t offset = 0;
};

enum class Op : uint32_t {
  quantize,
  dequantize,
  transpose_u8,
  transpose_f32,
  flip_sign,
  conv_u8,
  depthwise_u8,
  gemm_u8_f32,
  quantize_rows,
  add_u8,
  mul_u8,
  lookup_u8,
  mean_u8,
  avg_pool_u8,
  max_pool_u8,
  conv_f32,
  depthwise_f32,
  matmul_f32,
  add_f32,
  sub_f32,
  mul_f32,
  div_f32,
  clamp_f32,
  mean_f32,
  avg_pool_f32,
  max_pool_f32,
  softmax_f32,
  layer_norm_f32,
  gelu_f32,
  gelu_tanh_f32,
  tanh_f32,
  sigmoid_f32,
  silu_f32,
  hardswish_f32,
  exp_f32,
  copy_u8,
  copy_f32,
  fill_u8,
  fill_f32,
  quantize_tokens,
  gemm_grouped,
  gemm_grouped_f32,
  embed_f32,
  embed_codes,
  rms_norm_f32,
  rope_table,
  rope_f32,
  kv_update_f32,
  kv_update_s8,
  attention_f32,
  attention_s8,
  silu_mul_f32,
  sdpa_f32,
  count_
};

// As kernels.hpp Window.
struct Geometry {
  int32_t in_h = 1, in_w = 1, out_h = 1, out_w = 1;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;
};

// As grouped.hpp GroupedSpec; n and k are the instruction's.
struct Groups {
  int64_t size = 0;
  uint32_t bits = 0, scale = 0, zeros = 0, reserved = 0;
};

// Which fields an operation reads is said with it in execute_*.cpp; the others are zero. Strides count elements.
struct Instruction {
  Op op = Op::quantize;
  uint32_t flags = 0;
  uint64_t debug_id = 0;
  Ref x, x2, x3, y, y2;                 // operands and results
  Ref weights, bias, multiplier, sums;  // parameters, in data (row parameters: in scratch; caches: anywhere)
  Ref positions;                        // of tokens: s64
  int64_t batch = 1;                    // images or matrices, dense behind each other
  int64_t rows = 0, n = 0, k = 0, groups = 1;
  int64_t x_stride = 0, x2_stride = 0, y_stride = 0;
  int32_t zero_x = 0, zero_x2 = 0, zero_y = 0, low = 0, high = 255, divisor = 0;
  float ratio = 1, ratio2 = 1;  // scales or ratios of scales
  float low_f = 0, high_f = 0, eps = 0, value = 0;
  Geometry window;
  Groups grouped;
  uint64_t follows = 0;  // Follow bits
  int64_t x_step = 0;    // bytes by which x moves back for every token that a run has less
  int64_t dims[kMaxDims] = {}, x_strides[kMaxDims] = {}, y_strides[kMaxDims] = {};  // copy_*
};
enum Flag : uint32_t {
  kTransposed = 1,  // quantize, dequantize, flip_sign: rows and columns change places
  kDirect = 2,      // conv: the pixels of x are the rows of the matrix (1x1, stride 1, no padding)
  kXScalar = 4,
  kX2Scalar = 8,      // binary: every element is element 0
  kRowsOperand = 16,  // matmul: x2 is [n][k], not [k][n]
  kPacked = 32,       // matmul: x2 is packed weights in data
  kInterleaved = 64,  // rope: pairs are neighbours
};
// Fields that are multiples of the length.
enum Follow : uint64_t { kFollowRows = 1, kFollowN = 2, kFollowDims = 256 /* << index of the dim */ };

static_assert(std::is_trivially_copyable_v<Instruction> &&
              sizeof(Instruction) == 568);  // no padding: same bytes always
static_assert(sizeof(Header) == 64 && sizeof(TensorInfo) == 88 && sizeof(NamedInfo) == 24 && sizeof(Ref) == 16);

}  // namespace quoin::cpu
