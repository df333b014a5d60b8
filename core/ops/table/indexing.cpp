// Elements picked by index tensors. Negative indices count from the end; range is checked when the indices are known.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_embedding(Operands operands, const Attrs&) {
  QUOIN_CHECK(expect_rank(*operands[0], 2, "weight"));
  QUOIN_CHECK(expect_integer(*operands[1], "indices"));
  Shape out = operands[1]->shape;
  out.push_back(operands[0]->shape[1]);
  return one(operands[0]->dtype, out);
}

Types infer_gather(Operands operands, const Attrs& attrs) {
  const Shape &x = operands[0]->shape, &index = operands[1]->shape;
  QUOIN_CHECK(expect_integer(*operands[1], "index"));
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), x.size()));
  if (index.size() != x.size())
    return fail(Code::model, "index {} must have the rank of {}", to_string(index), to_string(x));
  for (size_t i = 0; i < x.size(); ++i)
    if (i != static_cast<size_t>(dim) && index[i] > x[i])
      return fail(Code::model, "index {} is larger than {} outside dim {}", to_string(index), to_string(x), dim);
  return one(operands[0]->dtype, index);
}

Types infer_index_select(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  if (out.empty()) return fail(Code::model, "a scalar has no dim to select from");
  QUOIN_CHECK(expect_rank(*operands[1], 1, "index"));
  QUOIN_CHECK(expect_integer(*operands[1], "index"));
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), out.size()));
  out[static_cast<size_t>(dim)] = operands[1]->shape[0];
  return one(operands[0]->dtype, out);
}

// numpy advanced indexing: present indices broadcast together; the result's dims stand where the first index stood if
// all are neighbours, else in front.
Types infer_index(Operands operands, const Attrs&) {
  const Shape& x = operands[0]->shape;
  if (operands.size() - 1 > x.size()) return fail(Code::model, "{} indices for {}", operands.size() - 1, to_string(x));
  Shape common, out;
  size_t first = x.size(), last = 0, count = 0;
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i] == nullptr) continue;
    if (operands[i]->dtype == DType::boolean)
      return fail(Code::unsupported, "a bool mask as index gives a shape that depends on the data");
    QUOIN_CHECK(expect_integer(*operands[i], "index"));
    QUOIN_TRY(common, broadcast(common, operands[i]->shape));
    first = std::min(first, i - 1);
    last = i - 1;
    ++count;
  }
  if (count == 0) return same_as_first(operands, {});
  const bool neighbours = last - first + 1 == count;
  if (!neighbours) out = common;
  for (size_t i = 0; i < x.size(); ++i) {
    if (neighbours && i == first) out.insert(out.end(), common.begin(), common.end());
    if (i + 1 >= operands.size() || operands[i + 1] == nullptr) out.push_back(x[i]);
  }
  return one(operands[0]->dtype, out);
}

constexpr Row kRows[] = {
    {"aten.embedding.default",
     "weight, indices; padding_idx: int = -1, scale_grad_by_freq: bool = false, sparse: bool = false", infer_embedding,
     kMoves},
    {"aten.gather.default", "self, index; dim: int, sparse_grad: bool = false", infer_gather, kMoves},
    {"aten.index_select.default", "self, index; dim: int", infer_index_select, kMoves},
    {"aten.index.Tensor", "self, indices?...", infer_index, kMoves},
};

}  // namespace

Rows indexing() { return kRows; }

}  // namespace quoin::table
