#include "operations.hpp"

namespace quoin::cpu {

void Checker::fail(const char* what) const {
  throw sdk::Failure(QUOIN_CORRUPT, "instruction " + std::to_string(index_) + ": " + what);
}

int64_t Checker::mul(int64_t a, int64_t b) const {
  int64_t out = 0;
  require(a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, &out) && out <= kMax, "a size is out of range");
  return out;
}

int64_t Checker::add(int64_t a, int64_t b) const {
  require(a >= 0 && b >= 0 && a <= kMax && b <= kMax, "a size is out of range");
  return a + b;
}

void Checker::inside(const Ref& ref, int64_t bytes, size_t alignment, bool write) const {
  uint64_t size = 0;
  switch (ref.space) {
    case Space::scratch:
      size = regions_.scratch;
      break;
    case Space::data:
      require(!write, "a result lies in the data");
      size = regions_.data;
      break;
    case Space::named:
      require(!write && ref.index < regions_.named.size(), "named data is not there");
      size = regions_.named[ref.index];
      break;
    case Space::input:
      require(!write && ref.index < regions_.inputs.size(), "an input is not one");
      size = regions_.inputs[ref.index];
      break;
    case Space::output:
      require(ref.index < regions_.outputs.size(), "an output is not one");
      size = regions_.outputs[ref.index];
      break;
    default:
      fail("an operand is nowhere");
  }
  require(ref.offset % alignment == 0, "an operand is misaligned");
  require(ref.offset <= size && static_cast<uint64_t>(bytes) <= size - ref.offset, "an operand leaves its region");
}

void Checker::u8_range(const Instruction& i) const {
  const auto byte = [&](int32_t v) { return v >= 0 && v <= 255; };
  require(byte(i.zero_x) && byte(i.zero_x2) && byte(i.zero_y) && byte(i.low) && byte(i.high) && i.low <= i.high,
          "a zero point or bound is no byte");
}

void Checker::window(const Instruction& i) const {
  const Geometry& w = i.window;
  constexpr int32_t limit = 1 << 20, small = 1 << 15;
  const auto within = [](int32_t v, int32_t low, int32_t high) { return v >= low && v <= high; };
  for (const int32_t v : {w.in_h, w.in_w, w.out_h, w.out_w})
    require(within(v, 1, limit), "an image size is out of range");
  for (const int32_t v : {w.kernel_h, w.kernel_w}) require(within(v, 1, 4096), "a window size is out of range");
  for (const int32_t v : {w.stride_h, w.stride_w, w.dilation_h, w.dilation_w})
    require(within(v, 1, small), "a stride or dilation is out of range");
  for (const int32_t v : {w.pad_top, w.pad_left}) require(within(v, 0, 1 << 17), "a padding is out of range");
  const auto reach = [](int64_t out, int64_t stride, int64_t kernel, int64_t dilation) {
    return out * stride + kernel * dilation;
  };
  require(reach(w.out_h, w.stride_h, w.kernel_h, w.dilation_h) < INT32_MAX &&
              reach(w.out_w, w.stride_w, w.kernel_w, w.dilation_w) < INT32_MAX,
          "a window leaves the range of int32");
}

const Operation* find_operation(Op op) {
  static const auto table = [] {
    std::array<const Operation*, static_cast<size_t>(Op::count_)> out{};
    for (const auto& group :
         {convolution_operations(), matrix_operations(), elementwise_operations(), pooling_operations(),
          movement_operations(), grouped_operations(), language_operations(), sdpa_operations()})
      for (const Operation& o : group) out[static_cast<size_t>(o.op)] = &o;
    return out;
  }();
  return static_cast<size_t>(op) < table.size() ? table[static_cast<size_t>(op)] : nullptr;
}

}  // namespace quoin::cpu
