// Walking several strided tensors of one logical shape together, row by row.
#pragma once

#include <array>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {

// Up to four operands over a common shape; a stride of 0 repeats an element. Neighbouring dims that every operand walks
// evenly are joined, so rows are as long as they can be.
class Walk {
 public:
  static constexpr size_t kMaxOperands = 4;
  using Offsets = std::array<int64_t, kMaxOperands>;  // of operands that there are not: 0

  Walk() = default;
  Walk(const Shape& shape, std::initializer_list<Shape> strides, const Offsets& first = {});

  int64_t row_length() const { return dims_.back().size; }
  const Offsets& row_steps() const { return dims_.back().steps; }
  int64_t row_count() const { return rows_; }
  // Offsets of the first elements of a row, counted in row-major order.
  Offsets offsets_of(int64_t row) const;
  // f(offsets of the row's first elements); rows run in parallel.
  template <class F>
  void rows(const quoin_host& host, const F& f) const {
    parallel(host, rows_, 2 * row_length(), [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t row = begin; row < end; ++row) f(offsets_of(row));
    });
  }

 private:
  struct Dim {
    int64_t size = 1;
    Offsets steps{};
  };
  std::vector<Dim> dims_ = std::vector<Dim>(1);
  Offsets first_{};
  int64_t rows_ = 0;
};

// Strides of a dense tensor of `shape` seen as `out`: 0 along broadcast dims.
Shape broadcast_strides(const Shape& shape, const Shape& out);

}  // namespace quoin::kernels
