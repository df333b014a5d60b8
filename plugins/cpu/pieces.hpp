// How a matrix product is shared out among threads.
#pragma once

#include "operations.hpp"

namespace quoin::cpu {

// body(row, rows, column, columns), noexcept, over pieces of a product of rows x n with depth k. Columns are split
// first, at multiples of 64: every thread then reads weights of its own, once. Rows are split where the columns are too
// few for all threads.
template <class F>
void share_out(const Context& c, int64_t rows, int64_t n, int64_t k, const F& body) {
  if (c.runs_alone()) return body(int64_t{0}, rows, int64_t{0}, n);
  constexpr int64_t kColumns = 64, kLeastRows = 24, kPiecesEach = 3, kLeastProducts = 1 << 16;
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const bool small = rows * n <= (kLeastProducts - 1) / k;
  const int64_t wanted = small ? 1 : kPiecesEach * c.workers, panels = up(n, kColumns);
  const int64_t columns = std::max<int64_t>(panels / wanted, 1) * kColumns, across = up(n, columns);
  const int64_t parts = std::clamp<int64_t>(up(wanted, across), 1, std::max<int64_t>(rows / kLeastRows, 1));
  const int64_t height = up(rows, parts), down = up(rows, height);
  c.parallel(across * down, small ? across * down : 1, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    if (end - begin == static_cast<uint64_t>(across * down)) return body(int64_t{0}, rows, int64_t{0}, n);
    for (auto piece = static_cast<int64_t>(begin); piece < static_cast<int64_t>(end); ++piece) {
      const int64_t row = piece % down * height, column = piece / down * columns;
      body(row, std::min(height, rows - row), column, std::min(columns, n - column));
    }
  });
}

}  // namespace quoin::cpu
