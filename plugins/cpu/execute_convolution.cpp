// conv_u8, conv_f32: batch images of rows pixels; n, k, groups; weights, bias, multiplier per group, one behind the
//   other. Direct: x is [rows][x_stride], else an image whose windows are the rows, strip by strip (tiles.hpp).
// depthwise_u8, depthwise_f32: groups channels.
#include "operations.hpp"
#include "pieces.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kMaxDepth = 65000;  // products of u8 and s8 that an int32 can sum

Window window_of(const Instruction& i) {
  const Geometry& w = i.window;
  return {w.in_h,     w.in_w,     w.out_h,      w.out_w,      w.kernel_h, w.kernel_w,
          w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, w.pad_top,  w.pad_left};
}
int64_t in_pixels(const Instruction& i) { return int64_t{i.window.in_h} * i.window.in_w; }
int64_t taps(const Instruction& i) { return int64_t{i.window.kernel_h} * i.window.kernel_w; }
int64_t padded(int64_t channels) { return round_up(channels, kChannelPadding); }

// -- gemm convolutions

template <class T>
WindowPlan windows_of(const Instruction& i) {
  return plan_windows(i.window, i.k / taps(i), i.x_stride, sizeof(T));
}

// Packed weights of one group.
int64_t group_weights(const Instruction& i, uint8_t) {
  return i.flags & kDirect ? packed_gemm_s8(i.n, i.k) : packed_conv_s8(i.n, i.k, windows_of<uint8_t>(i).run);
}
int64_t group_weights(const Instruction& i, float) { return packed_gemm_f32(i.n, i.k); }

template <class T>
void check_conv(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.size(i.k, "k");
  c.size(i.groups, "groups");
  c.size(i.x_stride, "stride");
  c.size(i.y_stride, "stride");
  c.require(sizeof(T) != 1 || i.k <= kMaxDepth, "too many products for int32");
  if (i.flags & kDirect) {
    c.require(i.batch == 1, "a direct convolution has one batch");
    c.reads<T>(i.x, c.span(i.rows, i.x_stride, c.mul(i.groups, i.k)));
  } else {
    c.window(i);
    c.require(int64_t{i.window.out_h} * i.window.out_w == i.rows && i.k % taps(i) == 0, "window and matrix disagree");
    c.require(c.mul(i.groups, i.k / taps(i)) <= i.x_stride, "channels overlap");
    c.reads<T>(i.x, c.mul(c.mul(i.batch, in_pixels(i)), i.x_stride));
    const Geometry& w = i.window;
    c.mul(c.mul(c.mul(window_reach(w.out_h, w.stride_h, w.kernel_h, w.dilation_h),
                      std::max<int64_t>(window_reach(w.out_w, w.stride_w, w.kernel_w, w.dilation_w), w.in_w)),
                i.x_stride),
          sizeof(T));
    c.worker(windows_of<T>(i).worker_bytes());
  }
  c.require(c.mul(i.groups, i.n) <= i.y_stride, "channels overlap");
  c.writes<T>(i.y, c.span(c.mul(i.batch, i.rows), i.y_stride, i.groups * i.n));
}

void check_conv_u8(const Instruction& i, const Checker& c) {
  check_conv<uint8_t>(i, c);
  c.u8_range(i);
  c.parameters<int8_t>(i.weights, c.mul(i.groups, group_weights(i, uint8_t{})));
  c.parameters<int32_t>(i.bias, c.mul(i.groups, padded(i.n)));
  c.parameters<float>(i.multiplier, c.mul(i.groups, padded(i.n)));
}

void check_conv_f32(const Instruction& i, const Checker& c) {
  check_conv<float>(i, c);
  c.parameters<float>(i.weights, c.mul(i.groups, group_weights(i, float{})));
  if (i.bias.space != Space::none) c.parameters<float>(i.bias, c.mul(i.groups, padded(i.n)));
}

GemmU8 gemm_of(const Instruction& i, const Context& c, int64_t group, uint8_t) {
  GemmU8 g;
  g.b = c.at<const int8_t>(i.weights, group * group_weights(i, uint8_t{}));
  g.bias = c.at<const int32_t>(i.bias, group * padded(i.n));
  g.out = {c.at<const float>(i.multiplier, group * padded(i.n)), i.zero_y, i.low, i.high};
  return g;
}
GemmF32 gemm_of(const Instruction& i, const Context& c, int64_t group, float) {
  GemmF32 g;
  g.b = c.at<const float>(i.weights, group * group_weights(i, float{}));
  g.b_block_stride = 16 * i.k;
  if (i.bias.space != Space::none) g.bias = c.at<const float>(i.bias, group * padded(i.n));
  g.low = i.low_f;
  g.high = i.high_f;
  return g;
}
void call(const Context& c, const GemmU8& g) { c.kernels.gemm_u8(g); }
void call(const Context& c, const GemmF32& g) { c.kernels.gemm_f32(g); }
void skip_columns(GemmU8& g, int64_t n0, int64_t k) {
  g.b += n0 * round_up(k, 4);
  g.bias += n0;
  g.out.multiplier += n0;
}
void skip_columns(GemmF32& g, int64_t n0, int64_t k) {
  g.b += n0 * k;
  if (g.bias != nullptr) g.bias += n0;
}

// Multiply-adds worth handing to another thread.
template <class T>
constexpr int64_t kWorth = sizeof(T) == 1 ? 1 << 19 : 1 << 17;

// Items, multiples of `unit`, of the pieces that `count` items of `work` multiply-adds each are shared out in: some for
// each worker, of a size that leaves none of them much more than its share. The work is a float, since sizes of a blob
// that is not ours need not fit an integer.
int64_t grain_of(const Context& c, int64_t count, int64_t unit, double work, int64_t worth) {
  const double worthwhile = static_cast<double>(count) * work / static_cast<double>(worth);
  const auto most = static_cast<int64_t>(std::clamp(worthwhile, 1.0, 6.0 * c.workers));
  const int64_t units = (count + unit - 1) / unit, workers = c.workers;
  int64_t best = units, least = units;  // units of a piece, and what the busiest worker then has
  for (int64_t wanted = 2; wanted <= most; ++wanted) {
    const int64_t size = (units + wanted - 1) / wanted, pieces = (units + size - 1) / size;
    const int64_t turns = (pieces - 1) / workers, last = units - (pieces - 1) * size;
    const int64_t busiest = turns * size + ((pieces - 1) % workers == 0 ? last : size);
    if (busiest > least) continue;
    best = size;
    least = busiest;
  }
  return best * unit;
}

// Rows of x are rows of the matrix. Products of few rows have large weights, which threads had better not read twice.
template <class T>
void run_direct(const Instruction& i, const Context& c) {
  const bool few = i.rows <= 64 * int64_t{c.workers} || (std::is_same_v<T, float> && i.rows <= 512);
  for (int64_t group = 0; group < i.groups; ++group) {
    auto g = gemm_of(i, c, group, T{});
    g.a_stride = i.x_stride;
    g.y_stride = i.y_stride;
    g.k = i.k;
    const T* x = c.at<const T>(i.x, group * i.k);
    T* y = c.at<T>(i.y, group * i.n);
    const auto piece = [&](int64_t row, int64_t rows, int64_t n0, int64_t n) noexcept {
      auto part = g;
      skip_columns(part, n0, i.k);
      part.a = x + row * i.x_stride;
      part.y = y + row * i.y_stride + n0;
      part.rows = rows;
      part.n = n;
      call(c, part);
    };
    if (few) {
      share_out(c, i.rows, i.n, i.k, piece);
    } else {
      constexpr int64_t kUnit = 24;  // a multiple of every tile's rows
      const int64_t grain = grain_of(c, i.rows, kUnit, double(i.n) * double(i.k), kWorth<T>);
      c.parallel(i.rows, grain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
        piece(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin), 0, i.n);
      });
    }
  }
}

// The input rows under output rows [first, first + rows), with their padding.
template <class T>
void copy_strip(const Instruction& i, const WindowPlan& p, const T* x, int64_t first, int64_t rows, T* to) {
  const Geometry& w = i.window;
  const T zero = static_cast<T>(i.zero_x);
  const int64_t in_rows = window_reach(rows, w.stride_h, w.kernel_h, w.dilation_h);
  const int64_t left = std::min<int64_t>(w.pad_left, p.width);
  const int64_t middle = std::min<int64_t>(w.in_w, p.width - left), right = p.width - left - middle;
  for (int64_t r = 0; r < in_rows; ++r) {
    const int64_t row = first * w.stride_h - w.pad_top + r;
    if (row < 0 || row >= w.in_h) {
      to = std::fill_n(to, p.width * i.x_stride, zero);
      continue;
    }
    to = std::fill_n(to, left * i.x_stride, zero);
    to = std::copy_n(x + row * w.in_w * i.x_stride, middle * i.x_stride, to);
    to = std::fill_n(to, right * i.x_stride, zero);
  }
}

// Windows of output rows [first, first + rows) as rows of a matrix, in the worker's memory.
template <class T>
Windows<T> strip_windows(const Instruction& i, const WindowPlan& p, const T* x, int64_t first, int64_t rows,
                         char* memory) {
  const Geometry& w = i.window;
  T* copy = reinterpret_cast<T*>(memory);
  const auto** pointers = reinterpret_cast<const T**>(memory + p.copy_bytes);
  auto* jumps = reinterpret_cast<int64_t*>(pointers + p.strip * w.out_w);
  if (p.copied) copy_strip(i, p, x, first, rows, copy);
  const T* image = p.copied ? copy : x + first * w.stride_h * p.width * i.x_stride;
  const Windows<T> out{pointers, jumps, p.runs};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < w.out_w; ++column)
      *pointers++ = image + (row * w.stride_h * p.width + column * w.stride_w) * i.x_stride;
  const int64_t in_row = p.runs / w.kernel_h;  // runs of one kernel row
  for (int64_t r = 0; r < p.runs; ++r) {
    const bool last = r % in_row == in_row - 1;
    jumps[r] = (last ? w.dilation_h * p.width - (in_row - 1) * w.dilation_w : int64_t{w.dilation_w}) * i.x_stride;
  }
  return out;
}

template <class T>
void run_strips(const Instruction& i, const Context& c, const T* x, T* y) {
  const WindowPlan plan = windows_of<T>(i);
  const int64_t out_h = i.window.out_h, out_w = i.window.out_w, channels = i.k / taps(i);
  const int64_t grain =
      std::min(plan.strip, grain_of(c, out_h, 1, double(out_w) * double(i.groups * i.n) * double(i.k), kWorth<T>));
  c.parallel((out_h + grain - 1) / grain, 1, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    for (auto s = static_cast<int64_t>(begin); s < static_cast<int64_t>(end); ++s) {
      const int64_t first = s * grain, rows = std::min(grain, out_h - first);
      const Windows<T> windows = strip_windows(i, plan, x, first, rows, c.worker<char>(worker));
      for (int64_t group = 0; group < i.groups; ++group) {
        auto g = gemm_of(i, c, group, T{});
        g.window = windows;
        g.window.first = group * channels;
        g.a_stride = i.window.stride_w * i.x_stride;
        g.y = y + first * out_w * i.y_stride + group * i.n;
        g.y_stride = i.y_stride;
        g.rows = rows * out_w;
        g.n = i.n;
        g.k = plan.run;
        call(c, g);
      }
    }
  });
}

template <class T>
void run_conv(const Instruction& i, const Context& c) {
  if (i.flags & kDirect) return run_direct<T>(i, c);
  for (int64_t image = 0; image < i.batch; ++image)
    run_strips<T>(i, c, c.at<const T>(i.x, image * in_pixels(i) * i.x_stride),
                  c.at<T>(i.y, image * i.rows * i.y_stride));
}

// -- depthwise

template <class T>
void check_depthwise(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.groups, "groups");
  c.window(i);
  c.require(i.groups <= i.x_stride && i.groups <= i.y_stride, "channels overlap");
  c.require(taps(i) <= kMaxDepth, "too many products for int32");
  c.reads<T>(i.x, c.mul(c.mul(i.batch, in_pixels(i)), i.x_stride));
  c.writes<T>(i.y, c.mul(c.mul(i.batch, c.mul(i.window.out_h, i.window.out_w)), i.y_stride));
}

void check_depthwise_u8(const Instruction& i, const Checker& c) {
  check_depthwise<uint8_t>(i, c);
  c.u8_range(i);
  c.parameters<int8_t>(i.weights, packed_depthwise_s8(i.groups, i.window.kernel_h, i.window.kernel_w));
  c.parameters<int32_t>(i.bias, padded(i.groups));
  c.parameters<float>(i.multiplier, padded(i.groups));
}

void check_depthwise_f32(const Instruction& i, const Checker& c) {
  check_depthwise<float>(i, c);
  c.parameters<float>(i.weights, packed_depthwise_f32(i.groups, i.window.kernel_h, i.window.kernel_w));
  if (i.bias.space != Space::none) c.parameters<float>(i.bias, padded(i.groups));
}

constexpr int64_t kDepthwiseWorth = 1 << 17;  // multiply-adds worth handing to another thread
constexpr int64_t kChannelsAtOnce = 64;       // of a piece: what a cache line holds of a u8 map

void skip_channels(DepthwiseU8& args, int64_t channels) {
  args.w += packed_depthwise_s8(channels, args.window.kernel_h, args.window.kernel_w);
  args.bias += channels;
  args.out.multiplier += channels;
}
void skip_channels(DepthwiseF32& args, int64_t channels) {
  args.w += packed_depthwise_f32(channels, args.window.kernel_h, args.window.kernel_w);
  if (args.bias != nullptr) args.bias += channels;
}

// Rows [begin, end) of an image whose channels lie, kChannelsAtOnce by kChannelsAtOnce, behind each other.
template <class Args, class Call>
void depthwise_rows(const Args& args, int64_t begin, int64_t end, const Call& kernel) {
  const int64_t height = args.window.out_h;
  for (int64_t row = begin, next = 0; row < end; row = next) {
    const int64_t channel = row / height * kChannelsAtOnce;
    next = std::min(end, (row / height + 1) * height);
    Args part = args;
    skip_channels(part, channel);
    part.x += channel;
    part.y += channel;
    part.channels = std::min(kChannelsAtOnce, args.channels - channel);
    part.row_begin = row % height;
    part.row_end = part.row_begin + next - row;
    kernel(part);
  }
}

template <class T, class Args, class Call>
void run_depthwise(const Instruction& i, const Context& c, Args args, const Call& kernel) {
  args.x_stride = i.x_stride;
  args.y_stride = i.y_stride;
  args.channels = i.groups;
  args.window = window_of(i);
  const int64_t out = int64_t{i.window.out_h} * i.window.out_w;
  const int64_t rows = (i.groups + kChannelsAtOnce - 1) / kChannelsAtOnce * i.window.out_h;
  const double work = double(i.window.out_w) * double(std::min(i.groups, kChannelsAtOnce)) * double(taps(i));
  const int64_t grain = grain_of(c, rows, 1, work, kDepthwiseWorth);
  for (int64_t image = 0; image < i.batch; ++image) {
    args.x = c.at<const T>(i.x, image * in_pixels(i) * i.x_stride);
    args.y = c.at<T>(i.y, image * out * i.y_stride);
    c.parallel(rows, grain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      depthwise_rows(args, static_cast<int64_t>(begin), static_cast<int64_t>(end), kernel);
    });
  }
}

void run_depthwise_u8(const Instruction& i, const Context& c) {
  DepthwiseU8 args;
  args.w = c.at<const int8_t>(i.weights);
  args.bias = c.at<const int32_t>(i.bias);
  args.zero_x = static_cast<uint8_t>(i.zero_x);
  args.out = {c.at<const float>(i.multiplier), i.zero_y, i.low, i.high};
  run_depthwise<uint8_t>(i, c, args, c.kernels.depthwise_u8);
}

void run_depthwise_f32(const Instruction& i, const Context& c) {
  DepthwiseF32 args;
  args.w = c.at<const float>(i.weights);
  if (i.bias.space != Space::none) args.bias = c.at<const float>(i.bias);
  args.low = i.low_f;
  args.high = i.high_f;
  run_depthwise<float>(i, c, args, c.kernels.depthwise_f32);
}

constexpr Operation kOperations[] = {
    {Op::conv_u8, "conv_u8", check_conv_u8, run_conv<uint8_t>},
    {Op::conv_f32, "conv_f32", check_conv_f32, run_conv<float>},
    {Op::depthwise_u8, "depthwise_u8", check_depthwise_u8, run_depthwise_u8},
    {Op::depthwise_f32, "depthwise_f32", check_depthwise_f32, run_depthwise_f32},
};

}  // namespace

std::span<const Operation> convolution_operations() { return kOperations; }

}  // namespace quoin::cpu
