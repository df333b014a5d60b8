// The whole table, and looking operators up in it.
#include <algorithm>

#include "ops/table/build.hpp"

namespace quoin {
namespace {

// Built at first use, so that static initialisers may look operators up.
const table::Rows& rows() {
  static const table::Rows sorted = [] {
    using namespace table;
    Rows all;
    for (const auto file : {convolution, matrix, normalization, unary, binary, pooling, reduction, reshaping, moving,
                            indexing, creation, quantization, affine, language})
      for (OpSchema& row : file()) all.push_back(std::move(row));
    std::ranges::sort(all, {}, &OpSchema::name);
    return all;
  }();
  return sorted;
}

}  // namespace

const OpSchema* find_op(std::string_view name) {
  const auto at = std::ranges::lower_bound(rows(), name, {}, &OpSchema::name);
  return at != rows().end() && at->name == name ? &*at : nullptr;
}

std::span<const OpSchema> all_ops() { return rows(); }

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const OpSchema& row : rows()) names.push_back(row.name);
  return names;
}

}  // namespace quoin
