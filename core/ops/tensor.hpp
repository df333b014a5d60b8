// Tensor types and host tensors. Dense, row-major.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "ops/dtype.hpp"
#include "ops/qparams.hpp"

namespace quoin {

using Shape = std::vector<int64_t>;
inline constexpr size_t kMaxRank = 8;

// Number of elements. Precondition: every dim >= 0 and the product fits (checked_numel first for foreign shapes).
int64_t numel(const Shape& shape);
// The rule of the next function: what is wrong with `shape` ("has a negative dimension"), or null and its elements.
const char* shape_fault(std::span<const int64_t> shape, int64_t& elements);
// Errors (limit): rank over kMaxRank, a negative dim, more than 2^48 elements, also if empty axes had one each.
Result<int64_t> checked_numel(std::span<const int64_t> shape);
// Bytes of a dense tensor; sub-byte types pad each row of the last axis to a byte.
int64_t byte_size(DType dtype, std::span<const int64_t> shape);
std::string to_string(const Shape& shape);  // "[1, 3, 224, 224]"

// What a value is: element type, shape, and for a quantized value how integers map to reals.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  std::shared_ptr<const QParams> qparams;  // null: the elements are the numbers themselves
  friend bool operator==(const TensorType& a, const TensorType& b);
};
std::string to_string(const TensorType& type);  // "s8[1, 16](scale 0.02, zero_point -3)"

// A dense tensor in host memory. Copies share the bytes; whoever writes must own the only copy.
class Tensor {
 public:
  Tensor() = default;
  // Zero-filled, 64-byte aligned. Precondition: checked_numel(shape) holds.
  Tensor(DType dtype, Shape shape);
  // Borrows `data`, kept alive by `owner`.
  Tensor(DType dtype, Shape shape, std::shared_ptr<const void> owner, const void* data);
  template <class T>
  static Tensor of(DType dtype, Shape shape, std::span<const T> elements) {
    Tensor out(dtype, std::move(shape));
    std::copy(elements.begin(), elements.end(), static_cast<T*>(out.data()));
    return out;
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return numel(shape_); }
  size_t bytes() const { return static_cast<size_t>(byte_size(dtype_, shape_)); }
  const void* data() const { return data_; }
  void* data() { return const_cast<void*>(data_); }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  template <class T>
  std::span<const T> as() const {
    return {static_cast<const T*>(data_), bytes() / sizeof(T)};
  }
  template <class T>
  std::span<T> as() {
    return {static_cast<T*>(data()), bytes() / sizeof(T)};
  }
  // The same bytes under another shape of equal size.
  Tensor reshaped(Shape shape) const;

 private:
  DType dtype_ = DType::f32;
  Shape shape_{0};
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
};

}  // namespace quoin
