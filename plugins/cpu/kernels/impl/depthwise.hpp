// Depthwise convolution of u8: the bytes of up to four kernel rows are interleaved once per input column, so that one
// dot4 does four taps of a channel; neighbouring output pixels share the interleaved column.
#pragma once

#include "depthwise_narrow.hpp"
#include "taps.hpp"

namespace quoin::cpu {
namespace {

constexpr int kChannelBlock = 64;
constexpr int kMaxUnrolledKernel = 5;

// Requantization constants of one channel block in the order of interleave4.
struct alignas(64) BlockConstants {
  int32_t bias[kChannelBlock];
  float multiplier[kChannelBlock];
};

// Where the taps of one output row come from; rows outside the image point at the padding and do not move.
struct InputRows {
  const uint8_t* base[8];
  int64_t step[8];
};

template <class T>
class DepthwiseBlock {
 public:
  using I = typename T::I;
  static constexpr int kWidth = 4 * T::kLanes;  // channels at once

  // Channels [channel, channel + kWidth) of args; channel is a multiple of kWidth.
  DepthwiseBlock(const DepthwiseU8& args, int64_t channel)
      : g_(args),
        channel_(channel),
        groups_((args.window.kernel_h + 3) / 4),
        narrower_(args.out.zero_point, args.out.low, args.out.high) {
    std::memset(padding_, args.zero_x, sizeof padding_);
    const int64_t part = channel % kChannelBlock;
    w_ = args.w + channel / kChannelBlock * kChannelBlock * 4 * groups_ * args.window.kernel_w + part * 4 / 4;
    for (int i = 0; i < 4; ++i)
      for (int lane = 0; lane < kWidth / 16; ++lane) {
        const int64_t from = channel + lane * 16 + i * 4;
        const int to = (i * kWidth / 16 + lane) * 4;
        std::memcpy(constants_.bias + to, args.bias + from, 4 * sizeof(int32_t));
        std::memcpy(constants_.multiplier + to, args.out.multiplier + from, 4 * sizeof(float));
      }
    fits_ = products_fit<T>(constants_.multiplier, kWidth);
  }

  void row(int64_t out_row) const {
    switch (square_kernel(g_.window)) {
      case 31:
        return fixed_row<3, 1>(out_row);
      case 32:
        return fixed_row<3, 2>(out_row);
      case 51:
        return fixed_row<5, 1>(out_row);
      case 52:
        return fixed_row<5, 2>(out_row);
      default:
        return any_row(out_row);
    }
  }

 private:
  const uint8_t* row_base(int64_t out_row, int64_t kernel_row) const {
    const Window& w = g_.window;
    const int64_t in_row = out_row * w.stride_h - w.pad_top + kernel_row * w.dilation_h;
    return in_row < 0 || in_row >= w.in_h ? nullptr : g_.x + in_row * w.in_w * g_.x_stride + channel_;
  }

  template <int Size, int Stride>
  void fixed_row(int64_t out_row) const {
    // Sums of four pixels and the operands of a second group do not fit the registers of AVX-512.
    constexpr int kPixels = Size > 4 && T::kLanes == 16 && T::kByteDots ? 3 : 4;
    InputRows rows;
    for (int r = 0; r < Size; ++r) {
      const uint8_t* base = row_base(out_row, r);
      rows.base[r] = base ? base : padding_;
      rows.step[r] = base ? g_.x_stride : 0;
    }
    int64_t column = 0;
    for (; column + kPixels <= g_.window.out_w; column += kPixels) pixels<Size, Stride, kPixels>(rows, out_row, column);
    switch (g_.window.out_w - column) {
      case 3:
        return pixels<Size, Stride, 3>(rows, out_row, column);
      case 2:
        return pixels<Size, Stride, 2>(rows, out_row, column);
      case 1:
        return pixels<Size, Stride, 1>(rows, out_row, column);
      default:
        return;
    }
  }

  template <int Size, int Stride, int Pixels>
  QUOIN_INLINE void pixels(const InputRows& rows, int64_t out_row, int64_t out_column) const {
    constexpr int kGroups = (Size + 3) / 4;
    I acc[Pixels][4];
    QUOIN_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      QUOIN_UNROLL
      for (int i = 0; i < 4; ++i) acc[p][i] = T::load_int(constants_.bias + i * T::kLanes);
    }
    const int64_t first = out_column * Stride - g_.window.pad_left;
    QUOIN_UNROLL
    for (int in = 0; in < (Pixels - 1) * Stride + Size; ++in) {
      const int64_t column = first + in;
      const bool inside = column >= 0 && column < g_.window.in_w;
      QUOIN_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        I bytes[4], taps[4];
        QUOIN_UNROLL
        for (int r = 0; r < 4; ++r) {
          const int row = group * 4 + r;
          if (row < Size) {
            bytes[r] = T::load_bytes(inside ? rows.base[row] + column * rows.step[row] : padding_);
          } else {
            bytes[r] = bytes[r == 0 ? 0 : r - 1];  // meets zero weights
          }
        }
        T::interleave4(bytes, taps);
        QUOIN_UNROLL
        for (int i = 0; i < 4; ++i) {
          const typename T::X x = T::prepare_x(taps[i]);
          QUOIN_UNROLL
          for (int p = 0; p < Pixels; ++p) {
            const int k = in - p * Stride;
            if (k < 0 || k >= Size) continue;
            acc[p][i] = T::dot4(acc[p][i], x, T::prepare_w(T::load_bytes(w_ + ((k * kGroups + group) * 4 + i) * 64)));
          }
        }
      }
    }
    QUOIN_UNROLL
    for (int p = 0; p < Pixels; ++p) finish(acc[p], out_row, out_column + p);
  }

  // Any kernel, stride and dilation, one pixel at a time.
  void any_row(int64_t out_row) const {
    const Window& w = g_.window;
    for (int64_t out_column = 0; out_column < w.out_w; ++out_column) {
      I acc[4];
      QUOIN_UNROLL
      for (int i = 0; i < 4; ++i) acc[i] = T::load_int(constants_.bias + i * T::kLanes);
      for (int64_t k = 0; k < w.kernel_w; ++k) {
        const int64_t column = out_column * w.stride_w - w.pad_left + k * w.dilation_w;
        for (int64_t group = 0; group < groups_; ++group)
          accumulate(out_row, column, group, w_ + (k * groups_ + group) * 256, acc);
      }
      finish(acc, out_row, out_column);
    }
  }

  QUOIN_INLINE void accumulate(int64_t out_row, int64_t column, int64_t group, const int8_t* w, I (&acc)[4]) const {
    const bool inside = column >= 0 && column < g_.window.in_w;
    I bytes[4], taps[4];
    QUOIN_UNROLL
    for (int r = 0; r < 4; ++r) {
      const int64_t kernel_row = group * 4 + r;
      const uint8_t* base = inside && kernel_row < g_.window.kernel_h ? row_base(out_row, kernel_row) : nullptr;
      bytes[r] = T::load_bytes(base ? base + column * g_.x_stride : padding_);
    }
    T::interleave4(bytes, taps);
    QUOIN_UNROLL
    for (int i = 0; i < 4; ++i) {
      acc[i] = T::dot4(acc[i], T::prepare_x(taps[i]), T::prepare_w(T::load_bytes(w + i * 64)));
    }
  }

  QUOIN_INLINE void finish(const I (&acc)[4], int64_t out_row, int64_t out_column) const {
    uint8_t* y = g_.y + (out_row * g_.window.out_w + out_column) * g_.y_stride + channel_;
    T::store_bytes(y, narrower_.bytes(acc, constants_.multiplier, fits_), smaller(g_.channels - channel_, kWidth));
  }

  const DepthwiseU8& g_;
  int64_t channel_, groups_;
  const int8_t* w_;
  Narrower<T> narrower_;
  bool fits_;
  BlockConstants constants_;
  alignas(64) uint8_t padding_[kChannelBlock];
};

template <class T>
void depthwise_block(const DepthwiseU8& g, int64_t channel) {
  const DepthwiseBlock<T> block(g, channel);
  for (int64_t row = g.row_begin; row < g.row_end; ++row) block.row(row);
}

template <class T>
void depthwise_u8(const DepthwiseU8& g) {
  if (NarrowDepthwise<T>::takes(g)) return NarrowDepthwise<T>(g).rows();
  using Half = typename T::Half;
  for (int64_t channel = 0; channel < g.channels; channel += DepthwiseBlock<T>::kWidth)
    if (g.channels - channel > DepthwiseBlock<Half>::kWidth) {
      depthwise_block<T>(g, channel);
    } else {
      depthwise_block<Half>(g, channel);
    }
}

}  // namespace
}  // namespace quoin::cpu
