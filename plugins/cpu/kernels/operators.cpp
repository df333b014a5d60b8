#include "operators.hpp"

#include "operators/adapter.hpp"

namespace quoin::cpu {

std::span<const quoin_kernel> operator_kernels() {
  static const std::vector<quoin_kernel> all = [] {
    std::vector<quoin_kernel> rows;
    for (const auto part : {convolution_operators(), matrix_operators(), elementwise_operators()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return all;
}

}  // namespace quoin::cpu
