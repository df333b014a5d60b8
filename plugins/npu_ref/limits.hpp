// The modelled device in numbers. It is an integer-only accelerator: sixteen multiply-accumulate lanes, one on-chip
// buffer, tensors in device memory, and shifters instead of multipliers behind the lanes. No part of it knows floats.
//
// A limit is checked twice: when nodes are claimed (checks.cpp), where breaking it declines the node with a reason, and
// when a blob is loaded (validate.cpp), where breaking it makes the blob corrupt.
#pragma once

#include <cstdint>

namespace quoin::npu {

// Output channels computed at once. Weights and device tensors are padded to whole blocks of this many channels.
inline constexpr int32_t kLanes = 16;

// Shape of a tensor: one image, [1, C, H, W], or one row, [1, C].
inline constexpr int32_t kMaxChannels = 4096;
inline constexpr int32_t kMaxSide = 1024;  // height and width, in pixels

// Windows that slide, in pixels. Padding is smaller than the window.
inline constexpr int32_t kMaxKernel = 16;       // convolutions
inline constexpr int32_t kMaxPoolWindow = 128;  // pools and means
inline constexpr int32_t kMaxStride = 16;       // where the window moves at all
inline constexpr int32_t kMaxDivisor = kMaxPoolWindow * kMaxPoolWindow;
inline constexpr int32_t kMaxParts = 8;  // tensors joined by one concatenation

// Shifters, in bits. Behind an accumulator: right by 0 to 31. In front of one: left by at most 8 (two operands of an
// addition), 14 (one operand that is rescaled, a sum that is averaged).
inline constexpr int32_t kMaxRightShift = 31;
inline constexpr int32_t kMaxAddShift = 8;
inline constexpr int32_t kMaxLeftShift = 14;

// On-chip buffer of one core: the rows of the operand under the window, one block of weights twice (one computes, one
// is fetched), and the rows of one block of the result. The compiler splits a layer into bands of rows that fit.
inline constexpr int64_t kSramKib = 512, kMinSramKib = 8, kMaxSramKib = 4096;

// Device memory: one tensor, and all tensors that are alive at the same time.
inline constexpr int64_t kTensorKib = 4096, kMinTensorKib = 1, kMaxTensorKib = 16384;
inline constexpr uint64_t kMaxArenaBytes = uint64_t{256} << 20;

}  // namespace quoin::npu
