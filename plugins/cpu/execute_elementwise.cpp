// quantize, dequantize: batch matrices of rows x n, ratio the scale; kTransposed writes n x rows.
// lookup_u8, clamp_f32, functions: n elements. add, mul, sub, div: rows x n, row stride 0 repeats an operand's row.
#include "operations.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements worth waking a thread for

int64_t total(const Instruction& i, const Checker& c) {
  c.size(i.batch, "batch");
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  return c.mul(c.mul(i.batch, i.rows), i.n);
}

// -- conversions

template <class From, class To>
void check_convert(const Instruction& i, const Checker& c) {
  const int64_t count = total(i, c);
  c.u8_range(i);
  c.reads<From>(i.x, count);
  c.writes<To>(i.y, count);
}

// Rows are shared out; a single row by its columns. `zero` is what the kernel takes as zero point.
template <class From, class To>
void run_convert(const Instruction& i, const Context& c, int32_t zero, void (*kernel)(const Convert<From, To>&)) {
  const bool transposed = (i.flags & kTransposed) != 0;
  Convert<From, To> args{nullptr, nullptr, i.rows, i.n, i.n, transposed ? i.rows : i.n, i.ratio, zero, i.low, i.high};
  for (int64_t m = 0; m < i.batch; ++m) {
    args.x = c.at<const From>(i.x, m * i.rows * i.n);
    args.y = c.at<To>(i.y, m * i.rows * i.n);
    // Few rows of many columns: ranges of columns, which are rows of a transposed result.
    c.parallel(i.n, std::max<int64_t>(64, kGrain / i.rows), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
      const auto first = static_cast<int64_t>(begin);
      auto part = args;
      part.x += first;
      part.y += transposed ? first * args.y_stride : first;
      part.cols = static_cast<int64_t>(end - begin);
      kernel(part);
    });
  }
}
void run_quantize(const Instruction& i, const Context& c) {
  run_convert(i, c, i.zero_y, i.flags & kTransposed ? c.kernels.quantize_transposed : c.kernels.quantize);
}
void run_dequantize(const Instruction& i, const Context& c) {
  run_convert(i, c, i.zero_x, i.flags & kTransposed ? c.kernels.dequantize_transposed : c.kernels.dequantize);
}

// s8 tensors of the caller; read and written exactly, without the padding that kernels may touch.
void check_flip_sign(const Instruction& i, const Checker& c) {
  c.size(i.n, "n");
  c.reads<uint8_t>(i.x, i.n, 0);
  c.writes<uint8_t>(i.y, i.n);
}
void run_flip_sign(const Instruction& i, const Context& c) {
  const auto* x = c.at<const uint8_t>(i.x);
  auto* y = c.at<uint8_t>(i.y);
  for (int64_t n = 0; n < i.n; ++n) y[n] = x[n] ^ 0x80;
}

void check_lookup(const Instruction& i, const Checker& c) {
  const int64_t count = total(i, c);
  c.reads<uint8_t>(i.x, count);
  c.writes<uint8_t>(i.y, count);
  c.parameters<uint8_t>(i.weights, 256);
}
void run_lookup(const Instruction& i, const Context& c) {
  c.parallel(i.batch * i.rows * i.n, kGrain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    LookupU8 l;
    l.x = c.at<const uint8_t>(i.x, static_cast<int64_t>(begin));
    l.y = c.at<uint8_t>(i.y, static_cast<int64_t>(begin));
    l.cols = l.x_stride = l.y_stride = static_cast<int64_t>(end - begin);
    l.table = c.at<const uint8_t>(i.weights);
    c.kernels.lookup_u8(l);
  });
}

// -- two operands

template <class T>
void check_binary(const Instruction& i, const Checker& c) {
  const int64_t count = total(i, c);
  c.require(i.batch == 1, "arithmetic has one batch");
  if (sizeof(T) == 1) c.u8_range(i);
  const auto operand = [&](const Ref& x, int64_t stride, bool scalar) {
    c.require(scalar || stride == 0 || stride == i.n, "rows of an operand are not dense");
    c.reads<T>(x, scalar ? 1 : stride == 0 ? i.n : count);
  };
  operand(i.x, i.x_stride, sizeof(T) != 1 && (i.flags & kXScalar));
  operand(i.x2, i.x2_stride, sizeof(T) != 1 && (i.flags & kX2Scalar));
  c.writes<T>(i.y, count);
}

template <class Args>
void set_range(Args& args, const Instruction& i, uint64_t begin, uint64_t end) {
  const auto first = static_cast<int64_t>(begin), count = static_cast<int64_t>(end - begin);
  args.a_stride = i.x_stride;
  args.b_stride = i.x2_stride;
  args.y_stride = i.n;
  if (i.rows == 1) {
    args.cols = count;
    args.y += first;
    args.a += i.flags & kXScalar ? 0 : first;
    args.b += i.flags & kX2Scalar ? 0 : first;
  } else {
    args.rows = count;
    args.cols = i.n;
    args.y += first * i.n;
    args.a += first * i.x_stride;
    args.b += first * i.x2_stride;
  }
}

template <class Args>
void run_binary(const Instruction& i, const Context& c, const Args& args, void (*kernel)(const Args&)) {
  const int64_t grain = i.rows == 1 ? kGrain : std::max<int64_t>(1, kGrain / i.n);
  c.parallel(i.rows == 1 ? i.n : i.rows, grain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    Args part = args;
    set_range(part, i, begin, end);
    kernel(part);
  });
}

template <auto Kernel>
void run_binary_u8(const Instruction& i, const Context& c) {
  BinaryU8 args;
  args.a = c.at<const uint8_t>(i.x);
  args.b = c.at<const uint8_t>(i.x2);
  args.y = c.at<uint8_t>(i.y);
  args.a_zero = i.zero_x;
  args.b_zero = i.zero_x2;
  args.a_ratio = i.ratio;
  args.b_ratio = i.ratio2;
  args.zero_point = i.zero_y;
  args.low = i.low;
  args.high = i.high;
  run_binary(i, c, args, c.kernels.*Kernel);
}

template <auto Kernel>
void run_binary_f32(const Instruction& i, const Context& c) {
  BinaryF32 args;
  args.a = c.at<const float>(i.x);
  args.b = c.at<const float>(i.x2);
  args.y = c.at<float>(i.y);
  args.a_scalar = (i.flags & kXScalar) != 0;
  args.b_scalar = (i.flags & kX2Scalar) != 0;
  args.low = i.low_f;
  args.high = i.high_f;
  run_binary(i, c, args, c.kernels.*Kernel);
}

// -- one operand

void check_unary(const Instruction& i, const Checker& c) {
  const int64_t count = total(i, c);
  c.reads<float>(i.x, count);
  c.writes<float>(i.y, count);
}
void run_clamp(const Instruction& i, const Context& c) {
  c.parallel(i.batch * i.rows * i.n, kGrain, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    c.kernels.clamp_f32(
        {c.at<const float>(i.x, first), c.at<float>(i.y, first), static_cast<int64_t>(end - begin), i.low_f, i.high_f});
  });
}
template <auto Kernel>
void run_unary(const Instruction& i, const Context& c) {
  c.parallel(i.batch * i.rows * i.n, kGrain / 4, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    (c.kernels.*Kernel)(c.at<const float>(i.x, first), c.at<float>(i.y, first), static_cast<int64_t>(end - begin));
  });
}

using K = KernelTable;
constexpr Operation kOperations[] = {
    {Op::quantize, "quantize", check_convert<float, uint8_t>, run_quantize},
    {Op::dequantize, "dequantize", check_convert<uint8_t, float>, run_dequantize},
    {Op::flip_sign, "flip_sign", check_flip_sign, run_flip_sign},
    {Op::lookup_u8, "lookup_u8", check_lookup, run_lookup},
    {Op::add_u8, "add_u8", check_binary<uint8_t>, run_binary_u8<&K::add_u8>},
    {Op::mul_u8, "mul_u8", check_binary<uint8_t>, run_binary_u8<&K::mul_u8>},
    {Op::add_f32, "add_f32", check_binary<float>, run_binary_f32<&K::add_f32>},
    {Op::sub_f32, "sub_f32", check_binary<float>, run_binary_f32<&K::sub_f32>},
    {Op::mul_f32, "mul_f32", check_binary<float>, run_binary_f32<&K::mul_f32>},
    {Op::div_f32, "div_f32", check_binary<float>, run_binary_f32<&K::div_f32>},
    {Op::clamp_f32, "clamp_f32", check_unary, run_clamp},
    {Op::gelu_f32, "gelu_f32", check_unary, run_unary<&K::gelu_f32>},
    {Op::gelu_tanh_f32, "gelu_tanh_f32", check_unary, run_unary<&K::gelu_tanh_f32>},
    {Op::tanh_f32, "tanh_f32", check_unary, run_unary<&K::tanh_f32>},
    {Op::sigmoid_f32, "sigmoid_f32", check_unary, run_unary<&K::sigmoid_f32>},
    {Op::silu_f32, "silu_f32", check_unary, run_unary<&K::silu_f32>},
    {Op::hardswish_f32, "hardswish_f32", check_unary, run_unary<&K::hardswish_f32>},
    {Op::exp_f32, "exp_f32", check_unary, run_unary<&K::exp_f32>},
};

}  // namespace

std::span<const Operation> elementwise_operations() { return kOperations; }

}  // namespace quoin::cpu
