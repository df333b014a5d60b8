// Loops over sixteen lanes have a constant count, so that compilers vectorize them for any target.
#include "kernels.hpp"

#include <cstring>

#include "geometry.hpp"

namespace quoin::npu {
namespace {

constexpr int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
constexpr int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

// Lowest integer of T.
template <class T>
constexpr T kLowest = static_cast<T>(-(1 << (8 * sizeof(T) - 1)));

// value / 2^shift to the nearest integer, halves to even. 0 <= shift <= 31.
int32_t shift_right(int32_t value, int32_t shift) {
  const auto power = uint32_t{1} << shift;
  const int32_t floor = value >> shift;
  const uint32_t rest = static_cast<uint32_t>(value) & (power - 1), odd = static_cast<uint32_t>(floor) & 1;
  const uint32_t half = shift == 0 ? 1 : power >> 1;
  return floor + (rest + odd > half ? 1 : 0);
}

// numerator / denominator to the nearest integer, halves to even. denominator > 0.
int64_t divide(int64_t numerator, int64_t denominator) {
  int64_t floor = numerator / denominator, rest = numerator % denominator;
  if (rest < 0) {
    rest += denominator;
    --floor;
  }
  const int64_t over = 2 * rest - denominator;
  return floor + (over > 0 || (over == 0 && (floor & 1) != 0) ? 1 : 0);
}

template <class T>
T saturate(int32_t value, const Command& c) {
  return static_cast<T>(most(least(value, c.high), c.low));
}

// -- device memory and ports

template <class T>
void load(const Command& c, int32_t block, const T* port, T* y) {
  const int64_t pixels = int64_t{c.out.height} * c.out.width;
  const int32_t lanes = least(kLanes, c.out.channels - block * kLanes);
  const T* from = port + block * kLanes * pixels;
  for (int64_t p = 0; p < pixels; ++p)
    for (int32_t lane = 0; lane < kLanes; ++lane) y[p * kLanes + lane] = lane < lanes ? from[lane * pixels + p] : T{};
}

template <class T>
void store(const Command& c, int32_t block, const T* x, T* port) {
  const int64_t pixels = int64_t{c.in.height} * c.in.width;
  const int32_t lanes = least(kLanes, c.in.channels - block * kLanes);
  T* to = port + block * kLanes * pixels;
  for (int32_t lane = 0; lane < lanes; ++lane)
    for (int64_t p = 0; p < pixels; ++p) to[lane * pixels + p] = x[p * kLanes + lane];
}

template <class T>
void fill(T* to, int64_t count, T value) {
  for (int64_t i = 0; i < count; ++i) to[i] = value;
}

template <class T>
void fetch(const Command& c, const typename Kernels<T>::Band& band, const T* x, T* to) {
  const T outside = c.kind == Kind::max_pool ? kLowest<T> : T{};
  const int32_t height = band_height(c, band.rows), width = band_width(c);
  const int32_t left = least(c.pad_left, width), inside = least(c.in.width, width - left);
  for (int32_t block = band.block; block < band.block + band_blocks(c); ++block) {
    const T* plane = x + block * block_elements(c.in);
    for (int32_t i = 0; i < height; ++i, to += int64_t{width} * kLanes) {
      const int32_t row = band.first_row * c.stride_h - c.pad_top + i;
      if (row < 0 || row >= c.in.height) {
        fill(to, int64_t{width} * kLanes, outside);
        continue;
      }
      fill(to, int64_t{left} * kLanes, outside);
      std::memcpy(to + int64_t{left} * kLanes, plane + int64_t{row} * c.in.width * kLanes,
                  static_cast<size_t>(inside) * kLanes * sizeof(T));
      fill(to + int64_t{left + inside} * kLanes, int64_t{width - left - inside} * kLanes, outside);
    }
  }
}

// -- windows

template <class T>
void finish(const Command& c, const Lanes& lanes, const uint32_t* sums, T* y) {
  for (int32_t lane = 0; lane < kLanes; ++lane)
    y[lane] = saturate<T>(shift_right(static_cast<int32_t>(sums[lane]), lanes.shift[lane]), c);
}

// `pixels` results next to each other, of which the first reads the window at `x`.
template <class T, int32_t pixels>
void convolve_pixels(const Command& c, int64_t plane, const T* x, const typename Kernels<T>::Weights& weights, T* y) {
  uint32_t sums[pixels][kLanes];
  for (auto& sum : sums)
    for (int32_t lane = 0; lane < kLanes; ++lane) sum[lane] = static_cast<uint32_t>(weights.lanes->bias[lane]);
  const int8_t* w = weights.integers;
  const int64_t row = int64_t{band_width(c)} * kLanes;
  for (int32_t first = 0; first < c.in.channels; first += kLanes, x += plane) {
    const int32_t depth = least(kLanes, c.in.channels - first);
    for (int32_t tap = 0; tap < c.kernel_h * c.kernel_w; ++tap) {
      const T* at = x + tap / c.kernel_w * row + tap % c.kernel_w * kLanes;
      for (int32_t k = 0; k < depth; ++k, w += kLanes)
        for (int32_t p = 0; p < pixels; ++p)
          for (int32_t lane = 0; lane < kLanes; ++lane)
            sums[p][lane] += static_cast<uint32_t>(at[p * c.stride_w * kLanes + k] * w[lane]);
    }
  }
  for (int32_t p = 0; p < pixels; ++p) finish(c, *weights.lanes, sums[p], y + p * kLanes);
}

template <class T>
void convolve(const Command& c, int32_t rows, const T* band, const typename Kernels<T>::Weights& weights, T* y) {
  constexpr int32_t kPixels = 2;
  const int64_t width = band_width(c), plane = band_height(c, rows) * width * kLanes;
  for (int32_t row = 0; row < rows; ++row) {
    int32_t column = 0;
    const auto at = [&] { return band + (row * c.stride_h * width + int64_t{column} * c.stride_w) * kLanes; };
    for (; column + kPixels <= c.out.width; column += kPixels, y += kPixels * kLanes)
      convolve_pixels<T, kPixels>(c, plane, at(), weights, y);
    for (; column < c.out.width; ++column, y += kLanes) convolve_pixels<T, 1>(c, plane, at(), weights, y);
  }
}

// pixel(window, y): one pixel of the result from its window in the band.
template <class T, class F>
void each_pixel(const Command& c, int32_t rows, const T* band, T* y, const F& pixel) {
  const int64_t width = band_width(c);
  for (int32_t row = 0; row < rows; ++row)
    for (int32_t column = 0; column < c.out.width; ++column, y += kLanes)
      pixel(band + (row * c.stride_h * width + int64_t{column} * c.stride_w) * kLanes, y);
}

// tap(element): the sixteen elements under each position of the window, row by row.
template <class T, class F>
void each_tap(const Command& c, const T* window, const F& tap) {
  const int64_t row = int64_t{band_width(c)} * kLanes;
  for (int32_t i = 0; i < c.kernel_h; ++i)
    for (int32_t j = 0; j < c.kernel_w; ++j) tap(window + i * row + j * kLanes);
}

template <class T>
void depthwise(const Command& c, int32_t rows, const T* band, const typename Kernels<T>::Weights& weights, T* y) {
  each_pixel(c, rows, band, y, [&](const T* window, T* to) {
    uint32_t sums[kLanes];
    for (int32_t lane = 0; lane < kLanes; ++lane) sums[lane] = static_cast<uint32_t>(weights.lanes->bias[lane]);
    const int8_t* w = weights.integers;
    each_tap(c, window, [&](const T* x) {
      for (int32_t lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<uint32_t>(x[lane] * w[lane]);
      w += kLanes;
    });
    finish(c, *weights.lanes, sums, to);
  });
}

template <class T>
void max_pool(const Command& c, int32_t rows, const T* band, T* y) {
  each_pixel(c, rows, band, y, [&](const T* window, T* to) {
    T best[kLanes];
    fill(best, kLanes, kLowest<T>);
    each_tap(c, window, [&](const T* x) {
      for (int32_t lane = 0; lane < kLanes; ++lane) best[lane] = x[lane] > best[lane] ? x[lane] : best[lane];
    });
    for (int32_t lane = 0; lane < kLanes; ++lane) to[lane] = saturate<T>(best[lane], c);
  });
}

template <class T>
void average(const Command& c, int32_t rows, const T* band, T* y) {
  const int64_t denominator = int64_t{c.divisor} << c.right;
  each_pixel(c, rows, band, y, [&](const T* window, T* to) {
    int32_t sums[kLanes] = {};
    each_tap(c, window, [&](const T* x) {
      for (int32_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[lane];
    });
    for (int32_t lane = 0; lane < kLanes; ++lane) {
      const int64_t mean = divide(int64_t{sums[lane]} * (int64_t{1} << c.left), denominator);
      to[lane] = static_cast<T>(mean < c.low ? c.low : (mean > c.high ? c.high : mean));
    }
  });
}

// -- elements

template <class T>
void add(const Command& c, int64_t count, const T* x, const T* x2, T* y) {
  const int32_t unit = 1 << c.left, unit2 = 1 << c.left2;
  for (int64_t i = 0; i < count; ++i) y[i] = saturate<T>(shift_right(x[i] * unit + x2[i] * unit2, c.right), c);
}

template <class From, class T>
void move(const Command& c, const From* x, T* y) {
  const int64_t width = int64_t{c.out.width} * kLanes, first = int64_t{c.pad_left} * kLanes;
  const int64_t count = x == nullptr ? 0 : int64_t{c.in.width} * kLanes;
  const int32_t unit = 1 << c.left;
  fill(y, first, T{});
  for (int64_t i = 0; i < count; ++i) y[first + i] = saturate<T>(shift_right(x[i] * unit, c.right), c);
  fill(y + first + count, width - first - count, T{});
}

template <class T>
constexpr Kernels<T> kTable = {load<T>,     store<T>,   fetch<T>, convolve<T>,     depthwise<T>,
                               max_pool<T>, average<T>, add<T>,   move<int8_t, T>, move<int16_t, T>};
constexpr KernelTable kKernels = {kTable<int8_t>, kTable<int16_t>};

}  // namespace

const KernelTable& kernels() { return kKernels; }

}  // namespace quoin::npu
