// Depthwise convolution of u8 with few channels: neighbouring pixels of a row lie behind each other in memory, so that
// a vector holds several of them and no lane is idle.
#pragma once

#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

// Each is read from memory once, although two instructions take it.
template <class V>
QUOIN_INLINE void pin([[maybe_unused]] V (&vectors)[4]) {
#if defined(QUOIN_PIN) && !defined(QUOIN_KEEP_LOOPS)
  QUOIN_UNROLL
  for (int i = 0; i < 4; ++i) {
    auto vector = vectors[i].data;
    QUOIN_PIN(vector);
    vectors[i] = vector;
  }
#endif
}

template <class T>
class NarrowDepthwise {
 public:
  using I = typename T::I;
  static constexpr int kWidth = 4 * T::kLanes;  // bytes of a vector

  static bool takes(const DepthwiseU8& g) {
    const Window& w = g.window;
    const bool dense = g.x_stride == g.channels && g.y_stride == g.channels;
    const bool square = w.kernel_h == w.kernel_w && w.stride_h == w.stride_w && w.dilation_h == 1 && w.dilation_w == 1;
    // Every second pixel is worth collecting where otherwise three lanes of four are idle.
    const int64_t most = w.stride_h == 1 ? kWidth / 2 : kWidth / 4;
    return dense && square && g.channels >= 8 && g.channels <= most && kWidth % g.channels == 0 &&
           (w.kernel_h == 3 || w.kernel_h == 5) && w.stride_h <= 2;
  }

  // What belongs to a channel is repeated for every pixel of a vector, in the order of interleave4.
  explicit NarrowDepthwise(const DepthwiseU8& args)
      : g_(args), pixels_(kWidth / args.channels), narrower_(args.out.zero_point, args.out.low, args.out.high) {
    const int64_t taps = args.window.kernel_w * ((args.window.kernel_h + 3) / 4);
    for (int i = 0; i < 4; ++i)
      for (int word = 0; word < T::kLanes; ++word) {
        const int64_t channel = (word / 4 * 16 + i * 4 + word % 4) % args.channels, to = i * T::kLanes + word;
        bias_[to] = args.bias[channel];
        multiplier_[to] = args.out.multiplier[channel];
        const int8_t* from = args.w + channel % 16 / 4 * 64 + channel / 16 * 16 + channel % 4 * 4;
        for (int64_t tap = 0; tap < taps; ++tap) std::memcpy(w_ + tap * 4 * kWidth + to * 4, from + tap * 256, 4);
      }
    fits_ = products_fit<T>(multiplier_, kWidth);
    std::memset(padding_, args.zero_x, sizeof padding_);
  }

  void rows() const {
    switch (g_.window.kernel_w * 10 + g_.window.stride_w) {
      case 31:
        return rows<3, 1>();
      case 32:
        return rows<3, 2>();
      case 51:
        return rows<5, 1>();
      default:
        return rows<5, 2>();
    }
  }

 private:
  static constexpr int kMaxSize = 5;
  static constexpr int kReach = 2 * kWidth + (kMaxSize - 1) * kWidth / 2;  // bytes of an input row below one vector

  // The taps of a kernel.
  template <int Size>
  struct Weights {
    static constexpr int kGroups = (Size + 3) / 4;
    I at[Size * kGroups][4];
  };

  template <int Size, int Stride>
  void rows() const {
    Weights<Size> w;  // in registers, where those hold them
    QUOIN_UNROLL
    for (int k = 0; k < Size * Weights<Size>::kGroups; ++k) {
      QUOIN_UNROLL
      for (int i = 0; i < 4; ++i) w.at[k][i] = T::load_bytes(w_ + (k * 4 + i) * kWidth);
    }
    // Where a dot product has a byte to spare, two rows of results share their interleaved operands.
    constexpr int kRows = Size == 3 && Stride == 1 ? 2 : 1;
    int64_t row = g_.row_begin;
    for (; row + kRows <= g_.row_end; row += kRows) columns<Size, Stride, kRows>(w, row);
    for (; row < g_.row_end; ++row) columns<Size, Stride, 1>(w, row);
  }

  template <int Size, int Stride, int Rows>
  QUOIN_INLINE void columns(const Weights<Size>& weights, int64_t out_row) const {
    constexpr int kIn = (Rows - 1) * Stride + Size;
    const Window& w = g_.window;
    const uint8_t* base[kIn];  // null: outside the image
    for (int r = 0; r < kIn; ++r) {
      const int64_t row = out_row * Stride - w.pad_top + r;
      base[r] = row < 0 || row >= w.in_h ? nullptr : g_.x + row * w.in_w * g_.channels;
    }
    uint8_t* y = g_.y + out_row * w.out_w * g_.channels;
    for (int64_t column = 0; column < w.out_w; column += pixels_) {
      const int64_t first = column * Stride - w.pad_left, last = first + (pixels_ - 1) * Stride + Size;
      const int64_t bytes = smaller(pixels_, w.out_w - column) * g_.channels;
      const uint8_t* in[kIn];
      uint8_t copies[kIn][kReach + kWidth];
      if (first >= 0 && last <= w.in_w) {
        for (int r = 0; r < kIn; ++r) in[r] = base[r] ? base[r] + first * g_.channels : padding_;
      } else {
        for (int r = 0; r < kIn; ++r) in[r] = base[r] ? copy(base[r], first, last, copies[r]) : padding_;
      }
      multiply<Size, Stride, Rows>(weights, in, y + column * g_.channels, bytes);
    }
  }

  // Columns [first, last) of an input row and their padding, whole vectors at a time.
  QUOIN_INLINE const uint8_t* copy(const uint8_t* row, int64_t first, int64_t last, uint8_t* to) const {
    const int64_t from = larger(first, 0), end = smaller(last, g_.window.in_w), bytes = (last - first) * g_.channels;
    const I zero = T::load_bytes(padding_);
    const int64_t begin = smaller((from - first) * g_.channels, bytes), behind = larger((end - first) * g_.channels, 0);
    for (int64_t at = 0; at < begin; at += kWidth) T::store_bytes(to + at, zero, kWidth);
    for (int64_t at = begin; at < behind; at += kWidth)
      T::store_bytes(to + at, T::load_bytes(row + first * g_.channels + at), kWidth);
    for (int64_t at = larger(behind, begin); at < bytes; at += kWidth) T::store_bytes(to + at, zero, kWidth);
    return to;
  }

  template <int Size, int Stride, int Rows>
  QUOIN_INLINE void multiply(const Weights<Size>& w, const uint8_t* const (&in)[(Rows - 1) * Stride + Size], uint8_t* y,
                             int64_t count) const {
    constexpr int kGroups = Weights<Size>::kGroups, kIn = (Rows - 1) * Stride + Size;
    I acc[Rows][4];
    QUOIN_UNROLL
    for (int q = 0; q < Rows; ++q) {
      QUOIN_UNROLL
      for (int i = 0; i < 4; ++i) acc[q][i] = T::load_int(bias_ + i * T::kLanes);
    }
    QUOIN_UNROLL
    for (int k = 0; k < Size; ++k) {
      QUOIN_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        I bytes[4], taps[4];
        QUOIN_UNROLL
        for (int r = 0; r < 4; ++r) {
          const int row = group * 4 + r;
          const uint8_t* p = in[row < kIn ? row : 0] + k * g_.channels;
          bytes[r] = row >= kIn    ? bytes[0]  // meets zero weights
                     : Stride == 1 ? T::load_bytes(p)
                                   : T::load_every_second(p, g_.channels);
        }
        pin(bytes);
        T::interleave4(bytes, taps);
        QUOIN_UNROLL
        for (int i = 0; i < 4; ++i) {
          const typename T::X x = T::prepare_x(taps[i]);
          const I& tap = w.at[k * kGroups + group][i];
          QUOIN_UNROLL
          for (int q = 0; q < Rows; ++q)  // an input row further down
            acc[q][i] = T::dot4(acc[q][i], x, T::prepare_w(q == 0 ? tap : T::shift_left(tap, 8)));
        }
      }
    }
    QUOIN_UNROLL
    for (int q = 0; q < Rows; ++q)
      T::store_bytes(y + q * g_.window.out_w * g_.channels, narrower_.bytes(acc[q], multiplier_, fits_), count);
  }

  const DepthwiseU8& g_;
  int64_t pixels_;  // of a vector
  Narrower<T> narrower_;
  bool fits_;
  alignas(64) int32_t bias_[kWidth];
  alignas(64) float multiplier_[kWidth];
  alignas(64) int8_t w_[kMaxSize * 2 * 4 * kWidth];
  alignas(64) uint8_t padding_[kReach];
};

}  // namespace
}  // namespace quoin::cpu
