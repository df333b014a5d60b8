// What the hardware computes. This one is plain C++, and exact: replace it with yours, and the tests say whether yours
// is.
#pragma once

#include <quoin/layers.hpp>

namespace kernels {

// Plane number `plane` of the result, counted over images and their channels: [out_h][out_w] in y.
inline void convolve(const quoin::sdk::Layer& l, const int8_t* x, uint64_t plane, int8_t* y) noexcept {
  const int64_t image = static_cast<int64_t>(plane) / l.out_channels,
                channel = static_cast<int64_t>(plane) % l.out_channels;
  const int64_t depth = l.group_depth(), group = channel / (l.out_channels / l.groups);
  const int8_t* in = x + (image * l.in_channels + group * depth) * l.in_h * l.in_w;
  const int8_t* filter = l.weight.data() + channel * l.filter_size();
  int8_t* out = y + static_cast<int64_t>(plane) * l.out_h * l.out_w;
  for (int64_t pixel = 0; pixel < l.out_h * l.out_w; ++pixel) {
    int32_t sum = l.bias[static_cast<size_t>(channel)];
    for (int64_t tap = 0; tap < l.kernel_h * l.kernel_w; ++tap) {
      const int64_t row = pixel / l.out_w * l.stride_h - l.pad_h + tap / l.kernel_w * l.dilation_h;
      const int64_t column = pixel % l.out_w * l.stride_w - l.pad_w + tap % l.kernel_w * l.dilation_w;
      if (row < 0 || row >= l.in_h || column < 0 || column >= l.in_w) continue;
      for (int64_t c = 0; c < depth; ++c)
        sum += (in[(c * l.in_h + row) * l.in_w + column] - l.zero_x) * filter[c * l.kernel_h * l.kernel_w + tap];
    }
    const float multiplier = l.multiplier[static_cast<size_t>(channel)];
    out[pixel] = static_cast<int8_t>(quoin::numerics::requantize(sum, multiplier, l.zero_y, l.low, l.high));
  }
}

}  // namespace kernels
