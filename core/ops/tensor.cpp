#include "ops/tensor.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.hpp"
#include "base/guard.hpp"
#include "ops/short_text.hpp"

namespace quoin {

int64_t numel(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

const char* shape_fault(std::span<const int64_t> shape, int64_t& elements) {
  constexpr int64_t kMaxElements = int64_t{1} << 48;
  if (shape.size() > kMaxRank) return "has more than 8 dimensions";
  static_assert(kMaxRank == 8);
  // Axes without elements count as one: strides and blocks are products of the others.
  int64_t extent = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return "has a negative dimension";
    if (__builtin_mul_overflow(extent, std::max<int64_t>(dim, 1), &extent) || extent > kMaxElements)
      return "has more than 2^48 elements";
    empty = empty || dim == 0;
  }
  elements = empty ? 0 : extent;
  return nullptr;
}

Result<int64_t> checked_numel(std::span<const int64_t> shape) {
  int64_t elements = 0;
  if (const char* fault = shape_fault(shape, elements))
    return fail(Code::limit, "shape {} {}", shape_text(shape).text(), fault);
  return elements;
}

int64_t byte_size(DType dtype, std::span<const int64_t> shape) {
  int64_t rows = 1;
  const int64_t row = shape.empty() ? 1 : shape.back();
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return rows * ((row * bits(dtype) + 7) / 8);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool operator==(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype || a.shape != b.shape || !a.qparams != !b.qparams) return false;
  return !a.qparams || *a.qparams == *b.qparams;
}

std::string to_string(const TensorType& type) {
  std::string text = std::string(name(type.dtype)) + to_string(type.shape);
  if (!type.qparams) return text;
  const QParams& q = *type.qparams;
  if (q.scale.size() == 1) return text + fmt::format("(scale {}, zero_point {})", q.scale[0], q.zero_point_at(0));
  return text + fmt::format("({} scales, axis {})", q.scale.size(), q.axis);
}

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const size_t size = align_up(std::max<size_t>(bytes(), 1), size_t{64});
  void* memory = std::aligned_alloc(64, size);
  if (memory == nullptr) out_of_memory();
  std::memset(memory, 0, size);
  owner_ = std::shared_ptr<const void>(memory, [](const void* p) { std::free(const_cast<void*>(p)); });
  data_ = memory;
}

Tensor::Tensor(DType dtype, Shape shape, std::shared_ptr<const void> owner, const void* data)
    : dtype_(dtype), shape_(std::move(shape)), owner_(std::move(owner)), data_(data) {}

Tensor Tensor::reshaped(Shape shape) const { return Tensor(dtype_, std::move(shape), owner_, data_); }

}  // namespace quoin
