#include <cmath>
#include <limits>

#include "import/pt2_ops.hpp"

namespace quoin::import::pt2 {
namespace {

Result<Values> single(Result<ValueId> value) {
  if (!value) return std::move(value).failure();
  return Values{*value};
}

// Logical on bools, bitwise on integers.
Result<Values> logical_or_bitwise(const Call& call, std::string_view logical, std::string_view bitwise) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const ValueId other, call.tensor("other"));
  const Builder& b = call.builder;
  const bool both = b.dtype(self) == DType::boolean && b.dtype(other) == DType::boolean;
  return call.builder.result(both ? logical : bitwise, {self, other});
}

// A quotient rounded to `mode` (none, floor, trunc).
Result<Values> divide(const Call& call, const std::string& mode) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  const bool tensor = call.is_tensor("other");
  Values inputs{self};
  Attrs attrs;
  bool floating = is_floating(b.dtype(self));
  if (tensor) {
    QUOIN_TRY(inputs.emplace_back(), call.tensor("other"));
    floating = floating || is_floating(b.dtype(inputs[1]));
  } else {
    QUOIN_TRY(attrs["other"], call.number("other"));
  }
  const std::string_view op = tensor ? "aten.div.Tensor" : "aten.div.Scalar";
  if (mode.empty()) return b.result(op, inputs, attrs);
  if (mode != "floor" || !floating)
    return fail(Code::unsupported, "division rounded by \"{}\" is supported for floats rounded down only", mode);
  QUOIN_TRY(const ValueId quotient, b.step(op, inputs, attrs));
  return b.result("aten.floor.default", {quotient});
}

}  // namespace

// add, sub, mul, div of a tensor and a tensor or a number.
Result<Values> arithmetic(const Call& call) {
  const std::string op = out_of_place(call.node.target);
  const std::string base = op.substr(0, op.rfind('.'));
  const bool left = call.is_tensor("self"), right = call.is_tensor("other");
  if (left && right) return same_operator(call, base + ".Tensor");
  if (left) return same_operator(call, base + ".Scalar");
  return fail(Code::unsupported, "a number in front of {} is not supported", base);
}

// other - alpha * self
Result<Values> reversed_subtract(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const double alpha, call.number("alpha", 1.0));
  if (call.is_tensor("other")) {
    QUOIN_TRY(const ValueId other, call.tensor("other"));
    return b.result("aten.sub.Tensor", {other, self}, {{"alpha", alpha}});
  }
  QUOIN_TRY(const double other, call.number("other"));
  QUOIN_TRY(const ValueId negated, b.step("aten.mul.Scalar", {self}, {{"other", -alpha}}));
  return b.result("aten.add.Scalar", {negated}, {{"other", other}});
}

Result<Values> rounded_division(const Call& call) {
  QUOIN_TRY(const std::string mode, call.text("rounding_mode", ""));
  return divide(call, mode);
}

Result<Values> floor_division(const Call& call) { return divide(call, "floor"); }

Result<Values> square(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  return call.builder.result("aten.mul.Tensor", {self, self});
}

Result<Values> bitwise_and(const Call& call) {
  return logical_or_bitwise(call, "aten.logical_and.default", "aten.bitwise_and.Tensor");
}
Result<Values> bitwise_or(const Call& call) {
  return logical_or_bitwise(call, "aten.logical_or.default", "aten.bitwise_or.Tensor");
}

Result<Values> bitwise_not(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  if (call.builder.dtype(self) != DType::boolean)
    return fail(Code::unsupported, "bitwise_not is supported on bools only, found {}", name(call.builder.dtype(self)));
  return call.builder.result("aten.logical_not.default", {self});
}

Result<Values> where_scalars(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId condition, call.tensor("condition"));
  QUOIN_TRY(const double self, call.number("self"));
  QUOIN_TRY(const double other, call.number("other"));
  const bool integers =
      std::holds_alternative<int64_t>(*call.find("self")) && std::holds_alternative<int64_t>(*call.find("other"));
  const std::string dtype = integers ? "s64" : "f32";
  QUOIN_TRY(const ValueId chosen,
            b.step("aten.full.default", {}, {{"size", Shape{}}, {"fill_value", self}, {"dtype", dtype}}));
  return b.result("aten.where.ScalarOther", {condition, chosen}, {{"other", other}});
}

Result<Values> masked_fill(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const ValueId mask, call.tensor("mask"));
  if (call.is_tensor("value")) {
    QUOIN_TRY(const ValueId value, call.tensor("value"));
    return b.result("aten.where.self", {mask, value, self});
  }
  QUOIN_TRY(const double value, call.number("value"));
  return b.result("aten.where.ScalarSelf", {mask, self}, {{"self", value}});
}

Result<Values> clamp_tensors(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const ValueId min, call.tensor_or_none("min"));
  QUOIN_TRY(const ValueId max, call.tensor_or_none("max"));
  if (min == kNone && max == kNone) return fail(Code::model, "clamp needs min or max");
  if (max == kNone) return b.result("aten.maximum.default", {self, min});
  if (min == kNone) return b.result("aten.minimum.default", {self, max});
  QUOIN_TRY(const ValueId raised, b.step("aten.maximum.default", {self, min}));
  return b.result("aten.minimum.default", {raised, max});
}

Result<Values> selu(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  return call.builder.result("aten.elu.default", {self},
                             {{"alpha", 1.6732632423543772848}, {"scale", 1.0507009873554804934}});
}

// max(x, 0) + weight * min(x, 0), one weight per channel (dim 1) or one for all.
Result<Values> prelu(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(ValueId weight, call.tensor("weight"));
  if (b.rank(weight) == 1 && b.rank(self) > 2) {
    Shape shape(b.rank(self) - 1, 1);
    shape[0] = b.shape(weight)[0];
    QUOIN_TRY(weight, b.step("aten.view.default", {weight}, {{"size", shape}}));
  }
  QUOIN_TRY(const ValueId positive, b.step("aten.clamp_min.default", {self}, {{"min", 0.0}}));
  QUOIN_TRY(const ValueId negative, b.step("aten.clamp_max.default", {self}, {{"max", 0.0}}));
  QUOIN_TRY(const ValueId scaled, b.step("aten.mul.Tensor", {negative, weight}));
  return b.result("aten.add.Tensor", {positive, scaled});
}

// First half times the sigmoid of the second.
Result<Values> glu(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const int64_t dim, call.integer("dim", -1));
  QUOIN_TRY(const int64_t axis, b.wrap(dim, b.rank(self)));
  const int64_t half = b.rank(self) ? b.shape(self)[static_cast<size_t>(axis)] / 2 : 0;
  QUOIN_TRY(const ValueId first,
            b.step("aten.slice.Tensor", {self}, {{"dim", axis}, {"start", int64_t{0}}, {"end", half}}));
  QUOIN_TRY(const ValueId second,
            b.step("aten.slice.Tensor", {self}, {{"dim", axis}, {"start", half}, {"end", 2 * half}}));
  QUOIN_TRY(const ValueId gate, b.step("aten.sigmoid.default", {second}));
  return b.result("aten.mul.Tensor", {first, gate});
}

// to.*, _to_copy: nothing if the type stays, wherever the tensor goes.
Result<Values> convert_dtype(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const std::string dtype, call.text("dtype", ""));
  if (dtype.empty() || dtype == name(call.builder.dtype(self))) return Values{self};
  return call.builder.result("aten.to.dtype", {self}, {{"dtype", dtype}});
}

Result<Values> convert_dtype_like(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const ValueId other, call.tensor("other"));
  const DType dtype = call.builder.dtype(other);
  if (dtype == call.builder.dtype(self)) return Values{self};
  return call.builder.result("aten.to.dtype", {self}, {{"dtype", std::string(name(dtype))}});
}

Result<Values> identity(const Call& call) { return single(call.tensor("self")); }

// In evaluation mode dropout copies its input; aten.dropout keeps its node because quantizers look for it.
Result<Values> dropout(const Call& call) {
  QUOIN_TRY(const bool train, call.flag("train", false));
  if (train)
    return fail(Code::unsupported, "dropout in training mode gives random results")
        .hint("call model.eval() before exporting");
  QUOIN_TRY(const ValueId input, call.tensor("input"));
  if (out_of_place(call.node.target) != "aten.dropout.default") return Values{input};
  return same_operator(call, "aten.dropout.default");
}

}  // namespace quoin::import::pt2
