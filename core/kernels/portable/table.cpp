// The portable kernel table: the rows of all families, as quoin_kernels with static storage.
#include <deque>

#include "kernels/portable/kernel.hpp"
#include "kernels/select.hpp"

namespace quoin::kernels {
namespace {

struct Table {
  std::deque<std::string> names;  // a deque: kernels point at its strings
  std::vector<quoin_kernel> kernels;

  Table() {
    for (const auto family : {convolution_rows, matrix_rows, normalization_rows, unary_rows, binary_rows, pooling_rows,
                              resize_rows, reduction_rows, moving_rows, indexing_rows, creation_rows, decomposed_rows,
                              choose_qparams_rows, typed_rows, language_rows})
      for (const Row& row : family()) add(row);
  }
  void add(const Row& row) {
    const std::string& name = names.emplace_back(fmt::format("portable_{}:{}", row.variant, row.op));
    quoin_kernel kernel{};
    kernel.op = row.op;
    kernel.op_version = 1;
    kernel.flags = QUOIN_IN_PLACE;  // asked for where the operator is elementwise
    kernel.priority = row.priority;
    kernel.name = name.c_str();
    kernel.accepts = row.accepts;
    kernel.prepare = row.prepare;
    kernel.run = run_node;
    kernel.release = release_node;
    kernels.push_back(kernel);
  }
};

}  // namespace

std::span<const quoin_kernel> portable() {
  static const Table table;
  return table.kernels;
}

}  // namespace quoin::kernels
