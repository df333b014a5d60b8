// Depthwise convolution in binary32: channels last, and of single planes.
#pragma once

#include "taps.hpp"

namespace quoin::cpu {
namespace {

// Pixels neighbours of one row that have the same taps inside the image, one vector of channels; their sums are
// independent, which hides the latency of the FMA.
template <class T, int Pixels>
QUOIN_INLINE void depthwise_f32_pixels(const DepthwiseF32& g, int64_t row, int64_t column, int64_t channel) {
  using F = typename T::F;
  const Window& w = g.window;
  const int64_t n = smaller(g.channels - channel, T::kLanes), step = w.stride_w * g.x_stride;
  const int64_t top = row * w.stride_h - w.pad_top, left = column * w.stride_w - w.pad_left;
  const TapRange rows = taps_inside(top, w.dilation_h, w.kernel_h, w.in_h);
  const TapRange columns = taps_inside(left, w.dilation_w, w.kernel_w, w.in_w);
  const float* weights = g.w + channel / 16 * 16 * w.kernel_h * w.kernel_w + channel % 16;
  F acc[Pixels];
  QUOIN_UNROLL
  for (int p = 0; p < Pixels; ++p) acc[p] = g.bias ? T::load_n(g.bias + channel, n) : T::set1(0);
  for (int64_t kh = rows.from; kh < rows.to; ++kh)
    for (int64_t kw = columns.from; kw < columns.to; ++kw) {
      const float* x = g.x + ((top + kh * w.dilation_h) * w.in_w + left + kw * w.dilation_w) * g.x_stride + channel;
      const F weight = T::load(weights + (kh * w.kernel_w + kw) * 16);
      QUOIN_UNROLL
      for (int p = 0; p < Pixels; ++p) acc[p] = T::fma(T::load_n(x + p * step, n), weight, acc[p]);
    }
  float* y = g.y + (row * w.out_w + column) * g.y_stride + channel;
  QUOIN_UNROLL
  for (int p = 0; p < Pixels; ++p)
    T::store_n(y + p * g.y_stride, T::min(T::set1(g.high), T::max(T::set1(g.low), acc[p])), n);
}

// Any kernel, stride and dilation.
template <class T>
void depthwise_f32_row(const DepthwiseF32& g, int64_t row, int64_t channel) {
  constexpr int kPixels = 8;
  const Window& w = g.window;
  // Output columns [begin, end) have every tap inside the image.
  const int64_t begin = smaller((w.pad_left + w.stride_w - 1) / w.stride_w, w.out_w);
  const int64_t reach = w.in_w + w.pad_left - (w.kernel_w - 1) * int64_t{w.dilation_w};
  const int64_t end = reach <= 0 ? begin : larger(begin, smaller((reach - 1) / w.stride_w + 1, w.out_w));
  int64_t column = 0;
  for (; column < begin; ++column) depthwise_f32_pixels<T, 1>(g, row, column, channel);
  for (; column + kPixels <= end; column += kPixels) depthwise_f32_pixels<T, kPixels>(g, row, column, channel);
  for (; column + 2 <= end; column += 2) depthwise_f32_pixels<T, 2>(g, row, column, channel);
  for (; column < w.out_w; ++column) depthwise_f32_pixels<T, 1>(g, row, column, channel);
}

// Square kernels of a usual size, Vectors vectors of channels. Neighbouring pixels of a row share the columns they
// read, and a row of weights stays in registers meanwhile. Whole: the channels fill the vectors.
template <class T, int Size, int Stride, int Vectors, bool Whole>
class SquareDepthwiseF32 {
 public:
  SquareDepthwiseF32(const DepthwiseF32& g, int64_t channel)
      : g_(g), channel_(channel), lanes_(Whole ? T::kLanes : g.channels - channel) {
    for (int v = 0; v < Vectors; ++v) {
      const int64_t c = channel + v * T::kLanes;
      weights_[v] = g.w + c / 16 * 16 * Size * Size + c % 16;
    }
  }

  void row(int64_t out_row) const {
    constexpr int kMost = T::kDepthwisePixels;
    const int64_t width = g_.window.out_w;
    if (width >= kMost) return tiles<kMost>(out_row, width);
    if (width >= kMost / 2) return tiles<kMost / 2>(out_row, width);
    tiles<1>(out_row, width);
  }

 private:
  using F = typename T::F;

  template <int Pixels>
  void tiles(int64_t out_row, int64_t width) const {
    for (int64_t column = 0; column < width; column += Pixels)  // the last one overlaps its neighbour: the same values
      pixels<Pixels>(out_row, smaller(column, width - Pixels));
  }

  template <int Pixels>
  QUOIN_INLINE void pixels(int64_t out_row, int64_t out_column) const {
    const Window& w = g_.window;
    const int64_t top = out_row * Stride - w.pad_top, left = out_column * Stride - w.pad_left;
    const TapRange rows = taps_inside(top, 1, Size, w.in_h);
    F acc[Pixels][Vectors];
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const F bias = g_.bias ? T::load_n(g_.bias + channel_ + v * T::kLanes, lanes_) : T::set1(0);
      QUOIN_UNROLL
      for (int p = 0; p < Pixels; ++p) acc[p][v] = bias;
    }
    for (int64_t kh = rows.from; kh < rows.to; ++kh) kernel_row<Pixels>(top + kh, left, kh * Size * 16, acc);
    const F low = T::set1(g_.low), high = T::set1(g_.high);
    float* y = g_.y + (out_row * w.out_w + out_column) * g_.y_stride + channel_;
    QUOIN_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v)
        T::store_n(y + p * g_.y_stride + v * T::kLanes, T::min(high, T::max(low, acc[p][v])), lanes_);
    }
  }

  template <int Pixels>
  QUOIN_INLINE void kernel_row(int64_t in_row, int64_t left, int64_t weight, F (&acc)[Pixels][Vectors]) const {
    F weights[Size][Vectors];
    QUOIN_UNROLL
    for (int kw = 0; kw < Size; ++kw) {
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v) weights[kw][v] = T::load(weights_[v] + weight + kw * 16);
    }
    const float* x = g_.x + (in_row * g_.window.in_w + left) * g_.x_stride + channel_;
    QUOIN_UNROLL
    for (int in = 0; in < (Pixels - 1) * Stride + Size; ++in) {
      const bool inside = left + in >= 0 && left + in < g_.window.in_w;
      const float* from = inside ? x + in * g_.x_stride : kZeros;
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const F value = T::load_n(from + v * T::kLanes, lanes_);
        QUOIN_UNROLL
        for (int p = 0; p < Pixels; ++p) {
          const int kw = in - p * Stride;
          if (kw >= 0 && kw < Size) acc[p][v] = T::fma(value, weights[kw][v], acc[p][v]);
        }
      }
    }
  }

  alignas(64) static constexpr float kZeros[Vectors * T::kLanes] = {};
  const DepthwiseF32& g_;
  int64_t channel_, lanes_;
  const float* weights_[Vectors];
};

// Rows of the same channels behind each other: the lines of the cache that kernel rows share are still near.
template <class Lines>
void square_rows(const DepthwiseF32& g, int64_t channel) {
  const Lines lines(g, channel);
  for (int64_t row = g.row_begin; row < g.row_end; ++row) lines.row(row);
}

template <class T, int Size, int Stride>
void square_depthwise_f32(const DepthwiseF32& g) {
  constexpr int kVectors = T::kDepthwiseVectors;
  int64_t channel = 0;
  for (; channel + kVectors * T::kLanes <= g.channels; channel += kVectors * T::kLanes)
    square_rows<SquareDepthwiseF32<T, Size, Stride, kVectors, true>>(g, channel);
  for (; channel + T::kLanes <= g.channels; channel += T::kLanes)
    square_rows<SquareDepthwiseF32<T, Size, Stride, 1, true>>(g, channel);
  if (channel < g.channels) square_rows<SquareDepthwiseF32<T, Size, Stride, 1, false>>(g, channel);
}

template <class T>
void depthwise_f32(const DepthwiseF32& g) {
  switch (square_kernel(g.window)) {
    case 31:
      return square_depthwise_f32<T, 3, 1>(g);
    case 32:
      return square_depthwise_f32<T, 3, 2>(g);
    case 51:
      return square_depthwise_f32<T, 5, 1>(g);
    case 52:
      return square_depthwise_f32<T, 5, 2>(g);
    default:
      for (int64_t channel = 0; channel < g.channels; channel += T::kLanes)
        for (int64_t row = g.row_begin; row < g.row_end; ++row) depthwise_f32_row<T>(g, row, channel);
  }
}

// -- f32, one channel plane (NCHW): a vector runs along the output row

// Input rows arrive split by column modulo stride (fill_phases), so that every tap is a contiguous load.
template <class T>
void depthwise_plane_f32(const PlaneF32& g) {
  const Window& w = g.window;
  const int64_t pitch = g.phase_width * w.stride_w;
  for (int64_t row = g.row_begin; row < g.row_end; ++row) {
    each_vector<T>(w.out_w, [&](int64_t column, int64_t n) QUOIN_LAMBDA_INLINE {
      typename T::F acc = T::set1(g.bias);
      for (int64_t kh = 0; kh < w.kernel_h; ++kh) {
        const float* line = g.x + (row * w.stride_h + kh * w.dilation_h) * pitch + column;
        int64_t phase = 0;  // (kw * dilation) % stride; `line` moves on by the quotient
        for (int64_t kw = 0; kw < w.kernel_w; ++kw) {
          acc = T::fma(T::load(line + phase * g.phase_width), T::set1(g.w[kh * w.kernel_w + kw]), acc);
          for (phase += w.dilation_w; phase >= w.stride_w; phase -= w.stride_w) ++line;
        }
      }
      T::store_n(g.y + row * w.out_w + column, T::min(T::set1(g.high), T::max(T::set1(g.low), acc)), n);
    });
  }
}

}  // namespace
}  // namespace quoin::cpu
