// Walking several strided tensors of one logical shape together, row by row.
#pragma once

#include <array>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {

// Sizes or strides of the dims of a tensor, without memory of their own. Dims beyond size() read as 0.
class Dims {
 public:
  static constexpr size_t kMax = 2 * kMaxRank;  // a dim and its repetitions may be two

  Dims() = default;
  Dims(std::span<const int64_t> dims) : size_(dims.size()) { std::copy(dims.begin(), dims.end(), dims_.begin()); }
  Dims(const Shape& shape) : Dims(std::span(shape)) {}
  // Strides of a dense tensor.
  static Dims dense(std::span<const int64_t> shape);
  // The same seen as `out`: 0 along broadcast dims.
  static Dims broadcast(std::span<const int64_t> shape, std::span<const int64_t> out);

  size_t size() const { return size_; }
  int64_t& operator[](size_t dim) { return dims_[dim]; }
  int64_t operator[](size_t dim) const { return dims_[dim]; }
  void push_back(int64_t dim) { dims_[size_++] = dim; }
  void erase(size_t dim);

 private:
  std::array<int64_t, kMax> dims_{};
  size_t size_ = 0;
};

// Up to four operands over a common shape; a stride of 0 repeats an element. Neighbouring dims that every operand walks
// evenly are joined, so rows are as long as they can be.
class Walk {
 public:
  static constexpr size_t kMaxOperands = 4;
  using Offsets = std::array<int64_t, kMaxOperands>;  // of operands that there are not: 0

  Walk() = default;
  Walk(const Dims& shape, std::initializer_list<Dims> strides, const Offsets& first = {});

  int64_t row_length() const { return dims_[rank_ - 1].size; }
  const Offsets& row_steps() const { return dims_[rank_ - 1].steps; }
  int64_t row_count() const { return rows_; }
  int64_t count() const { return rows_ * row_length(); }
  // Offsets of the first elements of a row, counted in row-major order.
  Offsets offsets_of(int64_t row) const;
  // Offsets of an element, counted in row-major order.
  Offsets offsets_at(int64_t element) const;
  // f(offsets of the row's first elements); rows run in parallel.
  void rows(const quoin_host& host, Callback<const Offsets&> f) const;

 private:
  struct Dim {
    int64_t size;
    Offsets steps;
  };
  std::array<Dim, Dims::kMax> dims_{};
  size_t rank_ = 1;
  Offsets first_{};
  int64_t rows_ = 0;
};

}  // namespace quoin::kernels
