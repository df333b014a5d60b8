// conv_u8, conv_f32: batch images of rows pixels; n, k, groups; weights, bias, multiplier per group, one behind the
//   other. Direct: x is [rows][x_stride], else image pixels that im2col unfolds tile by tile.
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
    c.worker(tile_bytes(i.k, sizeof(T)));
  }
  c.require(c.mul(i.groups, i.n) <= i.y_stride, "channels overlap");
  c.writes<T>(i.y, c.span(c.mul(i.batch, i.rows), i.y_stride, i.groups * i.n));
}

void check_conv_u8(const Instruction& i, const Checker& c) {
  check_conv<uint8_t>(i, c);
  c.u8_range(i);
  c.parameters<int8_t>(i.weights, c.mul(i.groups, packed_gemm_s8(i.n, i.k)));
  c.parameters<int32_t>(i.bias, c.mul(i.groups, padded(i.n)));
  c.parameters<float>(i.multiplier, c.mul(i.groups, padded(i.n)));
}

void check_conv_f32(const Instruction& i, const Checker& c) {
  check_conv<float>(i, c);
  c.parameters<float>(i.weights, c.mul(i.groups, packed_gemm_f32(i.n, i.k)));
  if (i.bias.space != Space::none) c.parameters<float>(i.bias, c.mul(i.groups, padded(i.n)));
}

GemmU8 gemm_of(const Instruction& i, const Context& c, int64_t group, uint8_t) {
  GemmU8 g;
  g.b = c.at<const int8_t>(i.weights, group * packed_gemm_s8(i.n, i.k));
  g.bias = c.at<const int32_t>(i.bias, group * padded(i.n));
  g.out = {c.at<const float>(i.multiplier, group * padded(i.n)), i.zero_y, i.low, i.high};
  return g;
}
GemmF32 gemm_of(const Instruction& i, const Context& c, int64_t group, float) {
  GemmF32 g;
  g.b = c.at<const float>(i.weights, group * packed_gemm_f32(i.n, i.k));
  g.b_block_stride = 16 * i.k;
  if (i.bias.space != Space::none) g.bias = c.at<const float>(i.bias, group * padded(i.n));
  g.low = i.low_f;
  g.high = i.high_f;
  return g;
}
void call(const Context& c, const GemmU8& g) { c.kernels.gemm_u8(g); }
void call(const Context& c, const GemmF32& g) { c.kernels.gemm_f32(g); }
void call(const Context& c, const Im2colU8& g) { c.kernels.im2col_u8(g); }
void call(const Context& c, const Im2colF32& g) { c.kernels.im2col_f32(g); }
void skip_columns(GemmU8& g, int64_t n0, int64_t k) {
  g.b += n0 * round_up(k, 4);
  g.bias += n0;
  g.out.multiplier += n0;
}
void skip_columns(GemmF32& g, int64_t n0, int64_t k) {
  g.b += n0 * k;
  if (g.bias != nullptr) g.bias += n0;
}

// Rows of x are rows of the matrix. Products of few rows have large weights, which threads had better not read twice.
template <class T>
void run_direct(const Instruction& i, const Context& c) {
  const bool few = i.rows < 8 * int64_t{c.workers} || (std::is_same_v<T, float> && i.rows <= 512);
  const int64_t grain = std::max<int64_t>(16, (1 << 20) / (i.n * i.k) / 16 * 16);
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
      c.parallel(i.rows, grain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
        piece(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin), 0, i.n);
      });
    }
  }
}

// Unfolds a tile of pixels into the worker's memory, then multiplies it.
template <class T>
void run_tiles(const Instruction& i, const Context& c, const T* x, T* y, int64_t group) {
  const int64_t tile = tile_rows(i.k, sizeof(T)), channels = i.k / taps(i);
  const auto gemm = gemm_of(i, c, group, T{});
  c.parallel((i.rows + tile - 1) / tile, 1, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
      T* rows = c.worker<T>(worker);
      const int64_t first = t * tile, last = std::min(first + tile, i.rows);
      call(c, Im2col<T>{x + group * channels, i.x_stride, channels, rows, tile_stride(i.k), first, last,
                        static_cast<T>(i.zero_x), window_of(i)});
      auto g = gemm;
      g.a = rows;
      g.a_stride = tile_stride(i.k);
      g.y = y + first * i.y_stride + group * i.n;
      g.y_stride = i.y_stride;
      g.rows = last - first;
      g.n = i.n;
      g.k = i.k;
      call(c, g);
    }
  });
}

template <class T>
void run_conv(const Instruction& i, const Context& c) {
  if (i.flags & kDirect) return run_direct<T>(i, c);
  for (int64_t image = 0; image < i.batch; ++image)
    for (int64_t group = 0; group < i.groups; ++group)
      run_tiles<T>(i, c, c.at<const T>(i.x, image * in_pixels(i) * i.x_stride),
                   c.at<T>(i.y, image * i.rows * i.y_stride), group);
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

template <class T, class Args, class Call>
void run_depthwise(const Instruction& i, const Context& c, Args args, const Call& kernel) {
  args.x_stride = i.x_stride;
  args.y_stride = i.y_stride;
  args.channels = i.groups;
  args.window = window_of(i);
  const int64_t out = int64_t{i.window.out_h} * i.window.out_w;
  for (int64_t image = 0; image < i.batch; ++image) {
    args.x = c.at<const T>(i.x, image * in_pixels(i) * i.x_stride);
    args.y = c.at<T>(i.y, image * out * i.y_stride);
    c.parallel(i.window.out_h, 4, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      Args part = args;
      part.row_begin = static_cast<int64_t>(begin);
      part.row_end = static_cast<int64_t>(end);
      kernel(part);
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
