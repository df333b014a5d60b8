// Walking several strided tensors of one logical shape together, row by row.
#pragma once

#include <array>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {

// N operands over a common shape; a stride of 0 repeats an element. Neighbouring dims that every operand walks evenly
// are joined, so rows are as long as they can be.
template <size_t N>
class Walk {
 public:
  using Offsets = std::array<int64_t, N>;

  Walk() = default;
  Walk(const Shape& shape, const std::array<Shape, N>& strides, const Offsets& first = {}) : first_(first) {
    for (size_t d = 0; d < shape.size(); ++d) {
      Offsets step{};
      for (size_t n = 0; n < N; ++n) step[n] = strides[n][d];
      if (!sizes_.empty() && joins(step, shape[d])) {
        sizes_.back() *= shape[d];
        steps_.back() = step;
      } else {
        sizes_.push_back(shape[d]);
        steps_.push_back(step);
      }
    }
    if (sizes_.empty()) {
      sizes_.push_back(1);
      steps_.push_back({});
    }
    rows_ = 1;
    for (size_t d = 0; d + 1 < sizes_.size(); ++d) rows_ *= sizes_[d];
    if (sizes_.back() == 0) rows_ = 0;
  }

  int64_t row_length() const { return sizes_.back(); }
  const Offsets& row_steps() const { return steps_.back(); }

  // f(offsets of the row's first elements); rows run in parallel.
  template <class F>
  void rows(const quoin_host& host, const F& f) const {
    parallel(host, rows_, 2 * row_length(), [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t row = begin; row < end; ++row) f(offsets_of(row));
    });
  }
  // Offsets of the first elements of a row, counted in row-major order.
  Offsets offsets_of(int64_t row) const {
    Offsets out = first_;
    for (size_t d = sizes_.size() - 1; d-- > 0;) {
      const int64_t at = row % sizes_[d];
      row /= sizes_[d];
      for (size_t n = 0; n < N; ++n) out[n] += at * steps_[d][n];
    }
    return out;
  }
  int64_t row_count() const { return rows_; }

 private:
  bool joins(const Offsets& step, int64_t size) const {
    for (size_t n = 0; n < N; ++n)
      if (steps_.back()[n] != step[n] * size) return false;
    return true;
  }
  std::vector<int64_t> sizes_;
  std::vector<Offsets> steps_;
  Offsets first_{};
  int64_t rows_ = 0;
};

// Strides of a dense tensor of `shape` seen as `out`: 0 along broadcast dims.
inline Shape broadcast_strides(const Shape& shape, const Shape& dense, const Shape& out) {
  Shape strides(out.size(), 0);
  const size_t offset = out.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) strides[offset + i] = shape[i] == 1 ? 0 : dense[i];
  return strides;
}

}  // namespace quoin::kernels
