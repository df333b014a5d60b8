// The whole table, and looking operators up in it.
#include <algorithm>

#include "ops/table/build.hpp"
#include "ops/table/signature.hpp"

namespace quoin {
namespace {

OpSchema schema_of(const table::Row& row) {
  OpSchema schema = table::parse_signature(row.signature);
  schema.name = row.name;
  schema.traits = row.traits;
  schema.infer = row.infer;
  return schema;
}

std::string_view name_of(const table::Row* row) { return row->name; }

// std::sort would be more code than all else here.
std::vector<const table::Row*> sorted_rows() {
  using namespace table;
  std::vector<const Row*> all;
  for (const Rows file : {convolution(), matrix(), normalization(), unary(), binary(), pooling(), reduction(),
                          reshaping(), moving(), indexing(), creation(), quantization(), affine(), language()})
    for (const Row& row : file) all.insert(std::ranges::lower_bound(all, name_of(&row), {}, name_of), &row);
  return all;
}

// Built at first use, so that static initialisers may look operators up.
const std::vector<OpSchema>& rows() {
  static const std::vector<OpSchema> sorted = [] {
    std::vector<OpSchema> schemas;
    for (const table::Row* row : sorted_rows()) schemas.push_back(schema_of(*row));
    return schemas;
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
