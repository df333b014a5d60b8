// Image -> input tensor. Resampling is Pillow's: separable, antialiased (the filter grows with the reduction), 8-bit
// pixels with fixed-point coefficients, rounded to 8 bits between the passes. Source: Pillow, libImaging/Resample.c.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // fraction bits of a coefficient: 8 bits of pixel, 2 of overshoot

struct Filter {
  double support;  // radius in output pixels
  double (*value)(double);
};

double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

// Keys' cubic convolution with a = -0.5.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

Result<Filter> find_filter(const std::string& name) {
  if (name == "bicubic") return Filter{2.0, bicubic};
  if (name == "bilinear") return Filter{1.0, bilinear};
  return fail(Code::recipe, "preprocess filter \"{}\" is not known, expected bicubic or bilinear", name);
}

struct Window {  // the input pixels that make one output pixel
  int64_t first = 0;
  std::vector<int32_t> weights;  // fraction of 2^kPrecisionBits
};

std::vector<Window> windows(int64_t in, int64_t out, const Filter& filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = filter.support * stretch;
  std::vector<Window> all(static_cast<size_t>(out));
  std::vector<double> exact;
  for (int64_t i = 0; i < out; ++i) {
    Window& window = all[static_cast<size_t>(i)];
    const double center = (static_cast<double>(i) + 0.5) * scale;
    window.first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t last = std::min(static_cast<int64_t>(center + support + 0.5), in);
    exact.clear();
    double sum = 0;
    for (int64_t x = window.first; x < last; ++x) {
      exact.push_back(filter.value((static_cast<double>(x) - center + 0.5) * (1.0 / stretch)));
      sum += exact.back();
    }
    for (const double weight : exact) {
      const double normal = sum == 0 ? weight : weight / sum;
      const double fixed = normal * (1 << kPrecisionBits);
      window.weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return all;
}

// Pixels with interleaved channels.
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

// One output sample: `from` is the first input sample, `stride` the distance between taps.
uint8_t tap(const Window& window, const uint8_t* from, int64_t stride) {
  int32_t sum = 1 << (kPrecisionBits - 1);
  for (const int32_t weight : window.weights) {
    sum += *from * weight;
    from += stride;
  }
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

Image resize_width(const Image& in, int64_t width, const Filter& filter) {
  if (in.width == width) return in;
  Image out{in.height, width, in.channels, std::vector<uint8_t>(static_cast<size_t>(in.height * width * in.channels))};
  const std::vector<Window> taps = windows(in.width, width, filter);
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < in.height; ++y) {
    const uint8_t* row = in.pixels.data() + y * in.width * in.channels;
    for (const Window& window : taps)
      for (int64_t c = 0; c < in.channels; ++c) *to++ = tap(window, row + window.first * in.channels + c, in.channels);
  }
  return out;
}

Image resize_height(const Image& in, int64_t height, const Filter& filter) {
  if (in.height == height) return in;
  const int64_t stride = in.width * in.channels;
  Image out{height, in.width, in.channels, std::vector<uint8_t>(static_cast<size_t>(height * stride))};
  uint8_t* to = out.pixels.data();
  for (const Window& window : windows(in.height, height, filter)) {
    const uint8_t* from = in.pixels.data() + window.first * stride;
    for (int64_t x = 0; x < stride; ++x) *to++ = tap(window, from + x, stride);
  }
  return out;
}

// ITU-R BT.601 luma in 16-bit fixed point, as Pillow's mode "L".
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

// The centre square of side int(crop * min(width, height)); the whole image when crop is 0.
Image crop_center(const Tensor& image, double crop, int64_t channels) {
  const int64_t height = image.shape()[0], width = image.shape()[1];
  const int64_t side = std::max<int64_t>(static_cast<int64_t>(crop * static_cast<double>(std::min(height, width))), 1);
  Image out{crop > 0 ? side : height, crop > 0 ? side : width, channels, {}};
  out.pixels.resize(static_cast<size_t>(out.height * out.width * channels));
  const int64_t top = (height - out.height) / 2, left = (width - out.width) / 2;
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < out.height; ++y) {
    const uint8_t* from = image.as<uint8_t>().data() + ((top + y) * width + left) * 3;
    if (channels == 3) {
      to = std::copy_n(from, out.width * 3, to);
      continue;
    }
    for (int64_t x = 0; x < out.width; ++x) *to++ = luma(from + 3 * x);
  }
  return out;
}

struct Target {
  bool channels_last = false;
  int64_t channels = 0, height = 0, width = 0;
};

Result<Target> target_of(const Preprocess& options, const Shape& shape) {
  const bool last = options.layout == "nhwc";
  if (!last && options.layout != "nchw")
    return fail(Code::recipe, "preprocess layout \"{}\" is not known, expected nchw or nhwc", options.layout);
  if (shape.size() != 4 || shape[0] != 1)
    return fail(Code::input, "an image needs an input of shape [1, ...] with four dimensions, the model has {}",
                to_string(shape));
  const Target target = last ? Target{true, shape[3], shape[1], shape[2]} : Target{false, shape[1], shape[2], shape[3]};
  if (target.channels != 3 && target.channels != 1)
    return fail(Code::input, "{} channels in {} read as {}, expected 1 or 3", target.channels, to_string(shape),
                options.layout)
        .hint("set model.input.layout");
  QUOIN_CHECK(check_pixels(static_cast<uint64_t>(std::max<int64_t>(target.width, 0)),
                           static_cast<uint64_t>(std::max<int64_t>(target.height, 0)), "model input"));
  const auto [height, width] = options.resize;
  if ((height != 0 && height != target.height) || (width != 0 && width != target.width))
    return fail(Code::input, "preprocess.resize is {} x {}, but the model's input is {} x {}", height, width,
                target.height, target.width)
        .hint("leave resize out to take it from the model");
  const size_t needed = static_cast<size_t>(target.channels);
  if (options.mean.size() < needed || options.std.size() < needed)
    return fail(Code::recipe, "preprocess has {} means and {} stds for {} channels", options.mean.size(),
                options.std.size(), needed);
  for (const double value : options.std)
    if (!(value > 0)) return fail(Code::recipe, "preprocess std {} is not positive", value);
  return target;
}

}  // namespace

Result<Tensor> preprocess(const Tensor& image, const Preprocess& options, const Shape& shape) {
  if (image.dtype() != DType::u8 || image.shape().size() != 3 || image.shape()[2] != 3)
    return fail(Code::input, "expected pixels u8[height, width, 3], found {}{}", name(image.dtype()),
                to_string(image.shape()));
  if (!(options.crop >= 0 && options.crop <= 1))
    return fail(Code::recipe, "preprocess crop {} is outside 0 to 1", options.crop);
  QUOIN_TRY(const Target target, target_of(options, shape));
  QUOIN_TRY(const Filter filter, find_filter(options.filter));
  const Image cropped = crop_center(image, options.crop, target.channels);
  const Image scaled = resize_height(resize_width(cropped, target.width, filter), target.height, filter);

  Tensor out(DType::f32, shape);
  const int64_t area = target.height * target.width;
  const int64_t step = target.channels_last ? target.channels : 1, plane = target.channels_last ? 1 : area;
  for (int64_t c = 0; c < target.channels; ++c) {
    const double mean = options.mean[static_cast<size_t>(c)], std = options.std[static_cast<size_t>(c)];
    float* to = out.as<float>().data() + c * plane;
    const uint8_t* from = scaled.pixels.data() + c;
    for (int64_t i = 0; i < area; ++i) to[i * step] = static_cast<float>((from[i * target.channels] - mean) / std);
  }
  return out;
}

}  // namespace quoin::data
