// Elementwise operators of one tensor.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_clamp(Operands operands, const Attrs& attrs) {
  if (!has(attrs, "min") && !has(attrs, "max")) return fail(Code::model, "min or max is needed");
  DType dtype = operands[0]->dtype;
  for (const char* bound : {"min", "max"})
    if (has(attrs, bound)) dtype = with_number(dtype, get_number(attrs, bound));
  return one(dtype, operands[0]->shape);
}

Types infer_power(Operands operands, const Attrs& attrs) {
  return one(with_number(operands[0]->dtype, get_number(attrs, "exponent")), operands[0]->shape);
}

Types infer_gelu(Operands operands, const Attrs& attrs) {
  const std::string& mode = get_text(attrs, "approximate");
  if (mode != "none" && mode != "tanh") return fail(Code::model, "approximate must be none or tanh, found {}", mode);
  return float_as_first(operands, attrs);
}

Types infer_logical_not(Operands operands, const Attrs&) { return one(DType::boolean, operands[0]->shape); }

Types infer_to(Operands operands, const Attrs& attrs) {
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  if (bits(dtype) < 8) return fail(Code::unsupported, "conversion to {} (quantize instead)", name(dtype));
  return one(dtype, operands[0]->shape);
}

constexpr Row kRows[] = {
    {"aten.relu.default", "self", same_as_first, kClamp},
    {"aten.relu6.default", "self", same_as_first, kClamp},
    {"aten.hardtanh.default", "self; min_val: float = -1, max_val: float = 1", same_as_first, kClamp},
    {"aten.clamp.default", "self; min: float?, max: float?", infer_clamp, kClamp},
    {"aten.clamp_min.default", "self; min: float", infer_clamp, kClamp},
    {"aten.clamp_max.default", "self; max: float", infer_clamp, kClamp},
    {"aten.leaky_relu.default", "self; negative_slope: float = 0.01", float_as_first, kElementwise},
    {"aten.elu.default", "self; alpha: float = 1, scale: float = 1, input_scale: float = 1", float_as_first,
     kElementwise},
    {"aten.hardswish.default", "self", float_as_first, kElementwise},
    {"aten.hardsigmoid.default", "self", float_as_first, kElementwise},
    {"aten.sigmoid.default", "self", float_as_first, kElementwise},
    {"aten.tanh.default", "self", float_as_first, kElementwise},
    {"aten.silu.default", "self", float_as_first, kElementwise},
    {"aten.gelu.default", "self; approximate: str = none", infer_gelu, kElementwise},
    {"aten.exp.default", "self", float_as_first, kElementwise},
    {"aten.log.default", "self", float_as_first, kElementwise},
    {"aten.sqrt.default", "self", float_as_first, kElementwise},
    {"aten.rsqrt.default", "self", float_as_first, kElementwise},
    {"aten.erf.default", "self", float_as_first, kElementwise},
    {"aten.sin.default", "self", float_as_first, kElementwise},
    {"aten.cos.default", "self", float_as_first, kElementwise},
    {"aten.reciprocal.default", "self", float_as_first, kElementwise},
    {"aten.floor.default", "self", same_as_first, kElementwise},
    {"aten.round.default", "self", same_as_first, kElementwise},
    {"aten.neg.default", "self", same_as_first, kElementwise},
    {"aten.abs.default", "self", same_as_first, kElementwise},
    {"aten.pow.Tensor_Scalar", "self; exponent: float", infer_power, kElementwise},
    {"aten.logical_not.default", "self", infer_logical_not, kElementwise},
    {"aten.to.dtype", "self; dtype: str, non_blocking: bool = false, copy: bool = false", infer_to, kElementwise},
    {"aten.dropout.default", "input; p: float = 0.5, train: bool = false", same_as_first, kIdentity},
    {"aten.contiguous.default", "self", same_as_first, kIdentity},
    {"aten.clone.default", "self", same_as_first, kIdentity},
};

}  // namespace

Rows unary() { return kRows; }

}  // namespace quoin::table
