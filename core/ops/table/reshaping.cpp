// New shapes for the same bytes.
#include <algorithm>

#include "base/checked.hpp"
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

// One dim may be -1: whatever is left.
Types reshaped(Operands operands, const std::vector<int64_t>& sizes) {
  const Shape& x = operands[0]->shape;
  Shape out = sizes;
  int64_t known = 1;
  auto hole = out.end();
  for (auto at = out.begin(); at != out.end(); ++at) {
    if (*at == -1 && hole == out.end()) {
      hole = at;
      continue;
    }
    const auto product = *at < 0 ? std::nullopt : checked_mul(known, *at);
    if (!product) return fail(Code::model, "shape {} is not possible", to_string(out));
    known = *product;
  }
  const int64_t count = numel(x);
  if (hole != out.end()) {
    if (known == 0 || count % known != 0)
      return fail(Code::model, "{} does not reshape to {}", to_string(x), to_string(out));
    *hole = count / known;
    known = count;
  }
  if (known != count) return fail(Code::model, "{} does not reshape to {}", to_string(x), to_string(out));
  return one(operands[0]->dtype, out);
}

Types infer_flatten(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  QUOIN_TRY(const int64_t first, wrap_dim(get_int(attrs, "start_dim"), x.size()));
  QUOIN_TRY(const int64_t last, wrap_dim(get_int(attrs, "end_dim"), x.size()));
  if (first > last) return fail(Code::model, "start_dim {} is after end_dim {}", first, last);
  if (x.empty()) return one(operands[0]->dtype, {1});
  Shape out(x.begin(), x.begin() + first);
  int64_t product = 1;
  for (int64_t i = first; i <= last; ++i) product *= x[static_cast<size_t>(i)];
  out.push_back(product);
  out.insert(out.end(), x.begin() + last + 1, x.end());
  return one(operands[0]->dtype, out);
}

Types infer_squeeze(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  const bool single = has(attrs, "dim") && std::holds_alternative<int64_t>(attrs.find("dim")->second);
  const std::vector<int64_t> dims = single ? std::vector<int64_t>{get_int(attrs, "dim")} : get_ints(attrs, "dim");
  std::vector<int64_t> gone;
  for (const int64_t dim : dims) {
    QUOIN_TRY(const int64_t wrapped, wrap_dim(dim, x.size()));
    if (!x.empty() && x[static_cast<size_t>(wrapped)] == 1) gone.push_back(wrapped);
  }
  return one(operands[0]->dtype, without_dims(x, gone, false));
}

Types infer_unsqueeze(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  QUOIN_TRY(const int64_t at, wrap_dim(get_int(attrs, "dim"), out.size() + 1));
  out.insert(out.begin() + at, 1);
  return one(operands[0]->dtype, out);
}

constexpr Row kRows[] = {
    {"aten.view.default", "self; size: int[]",
     [](Operands o, const Attrs& a) { return reshaped(o, get_ints(a, "size")); }, kView},
    {"aten.reshape.default", "self; shape: int[]",
     [](Operands o, const Attrs& a) { return reshaped(o, get_ints(a, "shape")); }, kView},
    {"aten.flatten.using_ints", "self; start_dim: int = 0, end_dim: int = -1", infer_flatten, kView},
    {"aten.squeeze.dim", "self; dim: int", infer_squeeze, kView},
    {"aten.squeeze.dims", "self; dim: int[]", infer_squeeze, kView},
    {"aten.unsqueeze.default", "self; dim: int", infer_unsqueeze, kView},
};

}  // namespace

Rows reshaping() { return kRows; }

}  // namespace quoin::table
