// The portable kernel table: the rows of all families, as quoin_kernels with static storage.
#include "kernels/portable/kernel.hpp"
#include "kernels/select.hpp"

namespace quoin::kernels {
namespace {

constexpr Rows (*kFamilies[])() = {
    convolution_rows, matrix_rows,     normalization_rows,  unary_rows,  binary_rows,   clamp_rows,
    pooling_rows,     resize_rows,     reduction_rows,      moving_rows, indexing_rows, creation_rows,
    convert_rows,     decomposed_rows, choose_qparams_rows, typed_rows,  language_rows};

// A kernel is called "portable_<variant>:<op>".
constexpr const char* variant(Mode mode) {
  switch (mode) {
    case Mode::integer:
      return "integer";
    case Mode::floats:
      return "float";
    case Mode::numbers:
      return "number";
    case Mode::moves:
      return "move";
    default:
      return "exact";
  }
}

quoin_kernel kernel_of(const Row& row, const std::string& name) {
  quoin_kernel kernel{};
  kernel.op = row.op;
  kernel.op_version = 1;
  kernel.flags = QUOIN_IN_PLACE;  // asked for where the operator is elementwise
  kernel.priority = row.integer() ? 1 : 0;
  kernel.name = name.c_str();
  set_functions(row, kernel);
  return kernel;
}

struct Table {
  std::vector<std::string> names;  // kernels point at them
  std::vector<quoin_kernel> kernels;

  Table() {
    size_t count = 0;
    for (const auto family : kFamilies) count += family().size();
    names.resize(count);
    kernels.resize(count);
    count = 0;
    for (const auto family : kFamilies) {
      for (const Row& row : family()) {
        names[count] = fmt::format("portable_{}:{}", variant(row.maker->conversions.mode), row.op);
        kernels[count] = kernel_of(row, names[count]);
        ++count;
      }
    }
  }
};

}  // namespace

const Row* find_row(std::string_view op, bool integer) {
  for (const auto family : kFamilies)
    for (const Row& row : family())
      if (row.integer() == integer && op == row.op) return &row;
  return nullptr;
}

std::span<const quoin_kernel> portable() {
  static const Table table;
  return table.kernels;
}

}  // namespace quoin::kernels
