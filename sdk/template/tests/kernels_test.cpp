// The kernels without a host: random layers against the definition, written out without any cleverness.
#include "kernels.hpp"

#include <cstdio>
#include <random>

namespace {

using quoin::sdk::Layer, quoin::sdk::LayerShape;

int64_t reference_sum(const Layer& l, const std::vector<int8_t>& x, int64_t image, int64_t channel, int64_t oh,
                      int64_t ow) {
  int64_t sum = l.bias[static_cast<size_t>(channel)], tap = channel * l.filter_size();
  const int64_t first = channel / (l.out_channels / l.groups) * l.group_depth();
  for (int64_t c = first; c < first + l.group_depth(); ++c)
    for (int64_t kh = 0; kh < l.kernel_h; ++kh)
      for (int64_t kw = 0; kw < l.kernel_w; ++kw, ++tap) {
        const int64_t h = oh * l.stride_h + kh * l.dilation_h - l.pad_h,
                      w = ow * l.stride_w + kw * l.dilation_w - l.pad_w;
        if (h < 0 || h >= l.in_h || w < 0 || w >= l.in_w) continue;
        const int64_t at = ((image * l.in_channels + c) * l.in_h + h) * l.in_w + w;
        sum += (x[static_cast<size_t>(at)] - l.zero_x) * l.weight[static_cast<size_t>(tap)];
      }
  return sum;
}

// How many elements differ from the definition.
int wrong(const LayerShape& shape, std::mt19937& random) {
  const auto bytes = [&](int64_t count) {
    std::vector<int8_t> out(static_cast<size_t>(count));
    for (int8_t& b : out) b = static_cast<int8_t>(random() % 256);
    return out;
  };
  Layer l;
  static_cast<LayerShape&>(l) = shape;
  l.zero_x = -3, l.zero_y = 5, l.low = -100, l.high = 120;
  const std::vector<int8_t> x = bytes(l.input_size()), weight = bytes(l.out_channels * l.filter_size());
  l.weight = weight;
  for (int64_t c = 0; c < l.out_channels; ++c) {
    l.bias.push_back(static_cast<int32_t>(random() % 2001) - 1000);
    l.multiplier.push_back(static_cast<float>(random() % 1000 + 1) * 1e-5f);
  }
  std::vector<int8_t> y(static_cast<size_t>(l.output_size()));
  const int64_t planes = l.batch * l.out_channels, pixels = l.out_h * l.out_w;
  for (int64_t plane = 0; plane < planes; ++plane)
    kernels::convolve(l, x.data(), static_cast<uint64_t>(plane), y.data());
  int count = 0;
  for (int64_t i = 0; i < l.output_size(); ++i) {
    const int64_t plane = i / pixels, channel = plane % l.out_channels, pixel = i % pixels;
    const int64_t sum = reference_sum(l, x, plane / l.out_channels, channel, pixel / l.out_w, pixel % l.out_w);
    const float multiplier = l.multiplier[static_cast<size_t>(channel)];
    count += y[static_cast<size_t>(i)] != quoin::numerics::requantize(sum, multiplier, l.zero_y, l.low, l.high);
  }
  return count;
}

}  // namespace

int main() {
  struct Case {
    const char* name;
    LayerShape shape;
  };
  //  batch in_channels in_h in_w out_channels out_h out_w groups kernel stride pad dilation (each h, w)
  const Case cases[] = {{"linear", {5, 37, 1, 1, 11, 1, 1}},
                        {"one element", {1, 1, 1, 1, 1, 1, 1}},
                        {"3 x 3, padded", {2, 3, 7, 5, 4, 7, 5, 1, 3, 3, 1, 1, 1, 1}},
                        {"stride 2", {1, 4, 9, 8, 6, 4, 3, 1, 3, 3, 2, 2}},
                        {"depthwise", {1, 6, 5, 5, 6, 5, 5, 6, 3, 3, 1, 1, 1, 1}},
                        {"two groups, dilated", {1, 4, 9, 9, 6, 5, 7, 2, 3, 2, 1, 1, 0, 0, 2, 2}}};
  std::mt19937 random(1);
  int failed = 0;
  for (const Case& c : cases) {
    const int count = wrong(c.shape, random);
    std::printf("%s %s: %d wrong\n", count == 0 ? "ok" : "FAILED", c.name, count);
    failed += count != 0;
  }
  return failed == 0 ? 0 : 1;
}
