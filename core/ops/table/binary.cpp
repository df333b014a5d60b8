// Elementwise operators of two tensors, or of a tensor and a number; shapes broadcast.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types broadcast_as(Operands operands, size_t a, size_t b, DType dtype) {
  QUOIN_TRY(Shape shape, broadcast(operands[a]->shape, operands[b]->shape));
  return one(dtype, std::move(shape));
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
  QUOIN_TRY(Shape shape, broadcast(operands[0]->shape, values));
  return one(promote(operands[1]->dtype, operands[2]->dtype), std::move(shape));
}

Types infer_where_number(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_condition(operands));
  const char* key = has(attrs, "other") ? "other" : "self";
  return broadcast_as(operands, 0, 1, with_number(operands[1]->dtype, get_number(attrs, key)));
}

OpSchema tensors(const char* name, Infer infer, std::vector<AttrSpec> attrs = {}) {
  return op(name, {in("self"), in("other")}, std::move(attrs), infer, kElementwise);
}
OpSchema with_other(const char* name, Infer infer, std::vector<AttrSpec> more = {}) {
  std::vector<AttrSpec> attrs{number("other")};
  for (AttrSpec& spec : more) attrs.push_back(std::move(spec));
  return op(name, {in("self")}, std::move(attrs), infer, kElementwise);
}

}  // namespace

Rows binary() {
  return {
      tensors("aten.add.Tensor", infer_arithmetic, {number("alpha", 1.0)}),
      tensors("aten.sub.Tensor", infer_arithmetic, {number("alpha", 1.0)}),
      tensors("aten.mul.Tensor", infer_arithmetic),
      tensors("aten.div.Tensor", infer_division),
      tensors("aten.maximum.default", infer_arithmetic),
      tensors("aten.minimum.default", infer_arithmetic),
      with_other("aten.add.Scalar", infer_number, {number("alpha", 1.0)}),
      with_other("aten.sub.Scalar", infer_number, {number("alpha", 1.0)}),
      with_other("aten.mul.Scalar", infer_number),
      with_other("aten.div.Scalar", [](Operands o, const Attrs& a) { return float_as_first(o, a); }),
      tensors("aten.eq.Tensor", infer_predicate),
      tensors("aten.ne.Tensor", infer_predicate),
      tensors("aten.lt.Tensor", infer_predicate),
      tensors("aten.le.Tensor", infer_predicate),
      tensors("aten.gt.Tensor", infer_predicate),
      tensors("aten.ge.Tensor", infer_predicate),
      with_other("aten.eq.Scalar", infer_number_predicate),
      with_other("aten.ne.Scalar", infer_number_predicate),
      with_other("aten.lt.Scalar", infer_number_predicate),
      with_other("aten.le.Scalar", infer_number_predicate),
      with_other("aten.gt.Scalar", infer_number_predicate),
      with_other("aten.ge.Scalar", infer_number_predicate),
      tensors("aten.logical_and.default", infer_predicate),
      tensors("aten.logical_or.default", infer_predicate),
      tensors("aten.bitwise_and.Tensor", infer_bitwise),
      tensors("aten.bitwise_or.Tensor", infer_bitwise),
      op("aten.where.self", {in("condition"), in("self"), in("other")}, {}, infer_where, kElementwise),
      op("aten.where.ScalarOther", {in("condition"), in("self")}, {number("other")}, infer_where_number, kElementwise),
      op("aten.where.ScalarSelf", {in("condition"), in("other")}, {number("self")}, infer_where_number, kElementwise),
  };
}

}  // namespace quoin::table
