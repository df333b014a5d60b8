// Elementwise operators of two tensors, or of a tensor and a number; shapes broadcast.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types broadcast_as(Operands operands, size_t a, size_t b, DType dtype) {
  QUOIN_TRY(const Shape shape, broadcast(operands[a]->shape, operands[b]->shape));
  return one(dtype, shape);
}

Types infer_arithmetic(Operands operands, const Attrs&) {
  return broadcast_as(operands, 0, 1, promote(operands[0]->dtype, operands[1]->dtype));
}
Types infer_division(Operands operands, const Attrs&) {
  const DType dtype = promote(operands[0]->dtype, operands[1]->dtype);
  return broadcast_as(operands, 0, 1, is_floating(dtype) ? dtype : DType::f32);
}
Types infer_predicate(Operands operands, const Attrs&) { return broadcast_as(operands, 0, 1, DType::boolean); }

Types infer_number(Operands operands, const Attrs& attrs) {
  return one(with_number(operands[0]->dtype, get_number(attrs, "other")), operands[0]->shape);
}
Types infer_number_predicate(Operands operands, const Attrs&) { return one(DType::boolean, operands[0]->shape); }

Types infer_bitwise(Operands operands, const Attrs&) {
  const DType dtype = promote(operands[0]->dtype, operands[1]->dtype);
  if (is_floating(dtype)) return fail(Code::model, "operands must be bool or integers, found {}", name(dtype));
  return broadcast_as(operands, 0, 1, dtype);
}

Status expect_condition(Operands operands) {
  const DType dtype = operands[0]->dtype;
  if (dtype != DType::boolean && dtype != DType::u8)
    return fail(Code::model, "condition must be bool, found {}", name(dtype));
  return {};
}

Types infer_where(Operands operands, const Attrs&) {
  QUOIN_CHECK(expect_condition(operands));
  QUOIN_TRY(const Shape values, broadcast(operands[1]->shape, operands[2]->shape));
  QUOIN_TRY(const Shape shape, broadcast(operands[0]->shape, values));
  return one(promote(operands[1]->dtype, operands[2]->dtype), shape);
}

Types infer_where_number(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_condition(operands));
  const char* key = has(attrs, "other") ? "other" : "self";
  return broadcast_as(operands, 0, 1, with_number(operands[1]->dtype, get_number(attrs, key)));
}

constexpr Row kRows[] = {
    {"aten.add.Tensor", "self, other; alpha: float = 1", infer_arithmetic, kElementwise},
    {"aten.sub.Tensor", "self, other; alpha: float = 1", infer_arithmetic, kElementwise},
    {"aten.mul.Tensor", "self, other", infer_arithmetic, kElementwise},
    {"aten.div.Tensor", "self, other", infer_division, kElementwise},
    {"aten.maximum.default", "self, other", infer_arithmetic, kElementwise},
    {"aten.minimum.default", "self, other", infer_arithmetic, kElementwise},
    {"aten.add.Scalar", "self; other: float, alpha: float = 1", infer_number, kElementwise},
    {"aten.sub.Scalar", "self; other: float, alpha: float = 1", infer_number, kElementwise},
    {"aten.mul.Scalar", "self; other: float", infer_number, kElementwise},
    {"aten.div.Scalar", "self; other: float", float_as_first, kElementwise},
    {"aten.eq.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.ne.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.lt.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.le.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.gt.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.ge.Tensor", "self, other", infer_predicate, kElementwise},
    {"aten.eq.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.ne.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.lt.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.le.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.gt.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.ge.Scalar", "self; other: float", infer_number_predicate, kElementwise},
    {"aten.logical_and.default", "self, other", infer_predicate, kElementwise},
    {"aten.logical_or.default", "self, other", infer_predicate, kElementwise},
    {"aten.bitwise_and.Tensor", "self, other", infer_bitwise, kElementwise},
    {"aten.bitwise_or.Tensor", "self, other", infer_bitwise, kElementwise},
    {"aten.where.self", "condition, self, other", infer_where, kElementwise},
    {"aten.where.ScalarOther", "condition, self; other: float", infer_where_number, kElementwise},
    {"aten.where.ScalarSelf", "condition, other; self: float", infer_where_number, kElementwise},
};

}  // namespace

Rows binary() { return kRows; }

}  // namespace quoin::table
