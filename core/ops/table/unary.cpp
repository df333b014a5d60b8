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

OpSchema real(const char* name) { return op(name, {in("self")}, {}, float_as_first, kElementwise); }

}  // namespace

Rows unary() {
  return {
      op("aten.relu.default", {in("self")}, {}, same_as_first, kClamp),
      op("aten.relu6.default", {in("self")}, {}, same_as_first, kClamp),
      op("aten.hardtanh.default", {in("self")}, {number("min_val", -1.0), number("max_val", 1.0)}, same_as_first,
         kClamp),
      op("aten.clamp.default", {in("self")}, {maybe(number("min")), maybe(number("max"))}, infer_clamp, kClamp),
      op("aten.clamp_min.default", {in("self")}, {number("min")}, infer_clamp, kClamp),
      op("aten.clamp_max.default", {in("self")}, {number("max")}, infer_clamp, kClamp),
      op("aten.leaky_relu.default", {in("self")}, {number("negative_slope", 0.01)}, float_as_first, kElementwise),
      op("aten.elu.default", {in("self")}, {number("alpha", 1.0), number("scale", 1.0), number("input_scale", 1.0)},
         float_as_first, kElementwise),
      real("aten.hardswish.default"),
      real("aten.hardsigmoid.default"),
      real("aten.sigmoid.default"),
      real("aten.tanh.default"),
      real("aten.silu.default"),
      op("aten.gelu.default", {in("self")}, {text("approximate", "none")}, infer_gelu, kElementwise),
      real("aten.exp.default"),
      real("aten.log.default"),
      real("aten.sqrt.default"),
      real("aten.rsqrt.default"),
      real("aten.erf.default"),
      real("aten.sin.default"),
      real("aten.cos.default"),
      real("aten.reciprocal.default"),
      op("aten.floor.default", {in("self")}, {}, same_as_first, kElementwise),
      op("aten.round.default", {in("self")}, {}, same_as_first, kElementwise),
      op("aten.neg.default", {in("self")}, {}, same_as_first, kElementwise),
      op("aten.abs.default", {in("self")}, {}, same_as_first, kElementwise),
      op("aten.pow.Tensor_Scalar", {in("self")}, {number("exponent")}, infer_power, kElementwise),
      op("aten.logical_not.default", {in("self")}, {}, infer_logical_not, kElementwise),
      op("aten.to.dtype", {in("self")}, {text("dtype"), flag("non_blocking", false), flag("copy", false)}, infer_to,
         kElementwise),
      op("aten.dropout.default", {in("input")}, {number("p", 0.5), flag("train", false)}, same_as_first, kIdentity),
      op("aten.contiguous.default", {in("self")}, {}, same_as_first, kIdentity),
      op("aten.clone.default", {in("self")}, {}, same_as_first, kIdentity),
  };
}

}  // namespace quoin::table
