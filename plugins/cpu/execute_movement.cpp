// transpose: batch matrices of rows x n -> n x rows. copy: dims with the strides of both sides, innermost last.
// fill: n elements, zero_y or value.
#include "operations.hpp"

namespace quoin::cpu {
namespace {

template <class T>
void check_transpose(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  const int64_t count = c.mul(c.mul(i.batch, i.rows), i.n);
  c.reads<T>(i.x, count);
  c.writes<T>(i.y, count);
}

template <class T>
void run_transpose(const Instruction& i, const Context& c, void (*kernel)(const Convert<T, T>&)) {
  for (int64_t m = 0; m < i.batch; ++m)
    c.parallel(i.n, std::max<int64_t>(64, 16384 / i.rows), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      const auto first = static_cast<int64_t>(begin);
      Convert<T, T> t;
      t.x = c.at<const T>(i.x, m * i.rows * i.n + first);
      t.y = c.at<T>(i.y, m * i.rows * i.n + first * i.rows);
      t.rows = i.rows;
      t.cols = static_cast<int64_t>(end - begin);
      t.x_stride = i.n;
      t.y_stride = i.rows;
      kernel(t);
    });
}
void run_transpose_u8(const Instruction& i, const Context& c) { run_transpose(i, c, c.kernels.transpose_u8); }
void run_transpose_f32(const Instruction& i, const Context& c) { run_transpose(i, c, c.kernels.transpose_f32); }

template <class T>
void check_copy(const Instruction& i, const Checker& c) {
  int64_t x_last = 0, y_last = 0, count = 1;
  for (uint32_t d = 0; d < kMaxDims; ++d) {
    c.size(i.dims[d], "dim", 0);
    count = c.mul(count, i.dims[d]);
    if (i.dims[d] == 0) continue;
    x_last = c.add(x_last, c.mul(i.dims[d] - 1, i.x_strides[d]));
    y_last = c.add(y_last, c.mul(i.dims[d] - 1, i.y_strides[d]));
  }
  // Operands may repeat, results may not: without it the dims, and with them the time, would have no bound.
  c.require(count <= c.add(y_last, 1), "elements of the result lie on each other");
  c.reads<T>(i.x, count == 0 ? 0 : x_last + 1, 0);
  c.writes<T>(i.y, count == 0 ? 0 : y_last + 1);
}

template <class T>
void copy_row(const T* x, T* y, int64_t count, int64_t x_stride, int64_t y_stride) {
  if (x_stride == 1 && y_stride == 1) {
    std::memmove(y, x, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  for (int64_t n = 0; n < count; ++n) y[n * y_stride] = x[n * x_stride];
}

template <class T>
void run_copy(const Instruction& i, const Context& c) {
  constexpr uint32_t inner = kMaxDims - 1;
  int64_t rows = 1;
  for (uint32_t d = 0; d < inner; ++d) rows *= i.dims[d];
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(i.dims[inner], 1));
  c.parallel(rows, grain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    for (auto row = static_cast<int64_t>(begin); row < static_cast<int64_t>(end); ++row) {
      int64_t x = 0, y = 0, left = row;
      for (uint32_t d = inner; d-- > 0;) {
        x += left % i.dims[d] * i.x_strides[d];
        y += left % i.dims[d] * i.y_strides[d];
        left /= i.dims[d];
      }
      copy_row(c.at<const T>(i.x, x), c.at<T>(i.y, y), i.dims[inner], i.x_strides[inner], i.y_strides[inner]);
    }
  });
}

template <class T>
void check_fill(const Instruction& i, const Checker& c) {
  c.size(i.n, "n");
  c.u8_range(i);
  c.writes<T>(i.y, i.n);
}
void run_fill_u8(const Instruction& i, const Context& c) {
  std::memset(c.at<uint8_t>(i.y), i.zero_y, static_cast<size_t>(i.n));
}
void run_fill_f32(const Instruction& i, const Context& c) { std::fill_n(c.at<float>(i.y), i.n, i.value); }

constexpr Operation kOperations[] = {
    {Op::transpose_u8, "transpose_u8", check_transpose<uint8_t>, run_transpose_u8},
    {Op::transpose_f32, "transpose_f32", check_transpose<float>, run_transpose_f32},
    {Op::copy_u8, "copy_u8", check_copy<uint8_t>, run_copy<uint8_t>},
    {Op::copy_f32, "copy_f32", check_copy<float>, run_copy<float>},
    {Op::fill_u8, "fill_u8", check_fill<uint8_t>, run_fill_u8},
    {Op::fill_f32, "fill_f32", check_fill<float>, run_fill_f32},
};

}  // namespace

std::span<const Operation> movement_operations() { return kOperations; }

}  // namespace quoin::cpu
