// avg_pool, max_pool: batch images of n channels through the window; divisor 0 counts the taps inside the image.
// mean: batch means over rows (pixels) of n channels.
#include "operations.hpp"

namespace quoin::cpu {
namespace {

int64_t in_pixels(const Instruction& i) { return int64_t{i.window.in_h} * i.window.in_w; }
int64_t out_pixels(const Instruction& i) { return int64_t{i.window.out_h} * i.window.out_w; }

template <class T>
void check_pool(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.n, "n");
  c.window(i);
  if (sizeof(T) == 1) c.u8_range(i);
  const Geometry& w = i.window;
  // Every window must touch the image: the first from below, the last from above.
  const auto touches = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    return pad <= (kernel - 1) * dilation && (out - 1) * stride - pad < in && (kernel == 1 || dilation <= in);
  };
  c.require(touches(w.in_h, w.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top) &&
                touches(w.in_w, w.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left),
            "a window lies outside the image");
  c.require(i.divisor >= 0 && int64_t{w.kernel_h} * w.kernel_w <= (1 << 22), "a divisor or window is out of range");
  c.require(i.x_stride == i.n && i.y_stride == i.n, "pixels are not dense");
  c.reads<T>(i.x, c.mul(c.mul(i.batch, in_pixels(i)), i.n));
  c.writes<T>(i.y, c.mul(c.mul(i.batch, out_pixels(i)), i.n));
}

template <class T, class Args>
void run_pool(const Instruction& i, const Context& c, Args args, void (*kernel)(const Args&)) {
  const Geometry& w = i.window;
  args.x_stride = args.y_stride = args.channels = i.n;
  args.divisor = i.divisor;
  args.window = {w.in_h,     w.in_w,     w.out_h,      w.out_w,      w.kernel_h, w.kernel_w,
                 w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, w.pad_top,  w.pad_left};
  for (int64_t image = 0; image < i.batch; ++image) {
    args.x = c.at<const T>(i.x, image * in_pixels(i) * i.n);
    args.y = c.at<T>(i.y, image * out_pixels(i) * i.n);
    c.parallel(w.out_h, 4, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      Args part = args;
      part.row_begin = static_cast<int64_t>(begin);
      part.row_end = static_cast<int64_t>(end);
      kernel(part);
    });
  }
}

template <auto Kernel>
void run_pool_u8(const Instruction& i, const Context& c) {
  PoolU8 args;
  args.zero_x = i.zero_x;
  args.ratio = i.ratio;
  args.zero_point = i.zero_y;
  args.low = i.low;
  args.high = i.high;
  run_pool<uint8_t>(i, c, args, c.kernels.*Kernel);
}
template <auto Kernel>
void run_pool_f32(const Instruction& i, const Context& c) {
  run_pool<float>(i, c, PoolF32{}, c.kernels.*Kernel);
}

template <class T>
void check_mean(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  if (sizeof(T) == 1) c.u8_range(i);
  c.require(i.rows < (1 << 22), "too many pixels for int32");
  c.require(i.x_stride == i.n && i.y_stride == i.n, "pixels are not dense");
  c.reads<T>(i.x, c.mul(c.mul(i.batch, i.rows), i.n));
  c.writes<T>(i.y, c.mul(i.batch, i.n));
}

template <class T, class Args>
void run_mean(const Instruction& i, const Context& c, Args args, void (*kernel)(const Args&)) {
  args.x_stride = i.n;
  args.pixels = i.rows;
  for (int64_t image = 0; image < i.batch; ++image)
    c.parallel((i.n + 63) / 64, 4, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      const auto first = static_cast<int64_t>(begin) * 64;
      Args part = args;
      part.x = c.at<const T>(i.x, image * i.rows * i.n + first);
      part.y = c.at<T>(i.y, image * i.n + first);
      part.channels = std::min(static_cast<int64_t>(end) * 64, i.n) - first;
      kernel(part);
    });
}
void run_mean_u8(const Instruction& i, const Context& c) {
  MeanU8 args;
  args.zero_x = i.zero_x;
  args.ratio = i.ratio;
  args.zero_point = i.zero_y;
  args.low = i.low;
  args.high = i.high;
  run_mean<uint8_t>(i, c, args, c.kernels.mean_u8);
}
void run_mean_f32(const Instruction& i, const Context& c) { run_mean<float>(i, c, MeanF32{}, c.kernels.mean_f32); }

using K = KernelTable;
constexpr Operation kOperations[] = {
    {Op::avg_pool_u8, "avg_pool_u8", check_pool<uint8_t>, run_pool_u8<&K::avg_pool_u8>},
    {Op::max_pool_u8, "max_pool_u8", check_pool<uint8_t>, run_pool_u8<&K::max_pool_u8>},
    {Op::avg_pool_f32, "avg_pool_f32", check_pool<float>, run_pool_f32<&K::avg_pool_f32>},
    {Op::max_pool_f32, "max_pool_f32", check_pool<float>, run_pool_f32<&K::max_pool_f32>},
    {Op::mean_u8, "mean_u8", check_mean<uint8_t>, run_mean_u8},
    {Op::mean_f32, "mean_f32", check_mean<float>, run_mean_f32},
};

}  // namespace

std::span<const Operation> pooling_operations() { return kOperations; }

}  // namespace quoin::cpu
