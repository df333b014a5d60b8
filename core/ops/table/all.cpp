#include <algorithm>

#include "ops/table/build.hpp"

namespace quoin::table {

Rows all() {
  Rows rows;
  for (const auto file : {convolution, matrix, normalization, unary, binary, pooling, reduction, reshaping, moving,
                          indexing, creation, quantization, affine, language})
    for (OpSchema& row : file()) rows.push_back(std::move(row));
  std::sort(rows.begin(), rows.end(), [](const OpSchema& a, const OpSchema& b) { return a.name < b.name; });
  return rows;
}

}  // namespace quoin::table
