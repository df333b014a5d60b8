// Reductions over dims.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types reduced(Operands operands, const Attrs& attrs, DType dtype) {
  QUOIN_TRY(const auto dims, reduced_dims(attrs, "dim", operands[0]->shape.size()));
  return one(dtype, without_dims(operands[0]->shape, dims, get_bool(attrs, "keepdim")));
}

Types infer_float(Operands operands, const Attrs& attrs) {
  const DType own = operands[0]->dtype;
  if (!has(attrs, "dtype")) return reduced(operands, attrs, is_floating(own) ? own : DType::f32);
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  return reduced(operands, attrs, dtype);
}

Types infer_sum(Operands operands, const Attrs& attrs) {
  if (has(attrs, "dtype") || is_floating(operands[0]->dtype)) return infer_float(operands, attrs);
  return reduced(operands, attrs, DType::s64);
}

Types infer_extreme(Operands operands, const Attrs& attrs) {
  if (numel(operands[0]->shape) == 0) return fail(Code::model, "input {} is empty", to_string(operands[0]->shape));
  return reduced(operands, attrs, operands[0]->dtype);
}

Types infer_argmax(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  if (numel(x) == 0) return fail(Code::model, "input {} is empty", to_string(x));
  std::vector<int64_t> dims;
  if (has(attrs, "dim")) {
    QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), x.size()));
    dims.push_back(dim);
  } else {
    for (size_t i = 0; i < x.size(); ++i) dims.push_back(static_cast<int64_t>(i));
  }
  return one(DType::s64, without_dims(x, dims, get_bool(attrs, "keepdim")));
}

constexpr Row kRows[] = {
    {"aten.mean.dim", "self; dtype: str?, dim: int[]?, keepdim: bool = false", infer_float},
    {"aten.sum.dim_IntList", "self; dtype: str?, dim: int[]?, keepdim: bool = false", infer_sum},
    {"aten.linalg_vector_norm.default", "self; ord: float = 2, dtype: str?, dim: int[]?, keepdim: bool = false",
     infer_float},
    {"aten.amax.default", "self; dim: int[]?, keepdim: bool = false", infer_extreme, kMoves},
    {"aten.amin.default", "self; dim: int[]?, keepdim: bool = false", infer_extreme, kMoves},
    {"aten.argmax.default", "self; dim: int?, keepdim: bool = false", infer_argmax},
};

}  // namespace

Rows reduction() { return kRows; }

}  // namespace quoin::table
