// Elementwise operators of one tensor.
#include <algorithm>
#include <limits>
#include <unordered_map>

#include "export/onnx_ops.hpp"

namespace quoin::exporter {
namespace {

const std::unordered_map<std::string, std::string> kUnary = {
    {"aten.sigmoid.default", "Sigmoid"}, {"aten.tanh.default", "Tanh"},   {"aten.exp.default", "Exp"},
    {"aten.log.default", "Log"},         {"aten.sqrt.default", "Sqrt"},   {"aten.erf.default", "Erf"},
    {"aten.sin.default", "Sin"},         {"aten.cos.default", "Cos"},     {"aten.reciprocal.default", "Reciprocal"},
    {"aten.floor.default", "Floor"},     {"aten.round.default", "Round"}, {"aten.neg.default", "Neg"},
    {"aten.abs.default", "Abs"}};

// Operand 0 in the type of the result: integers become floats where the operator says so.
Result<std::string> operand(const Call& call) { return call.in_as(0, call.out_type().dtype); }

struct Bounds {
  std::optional<double> min, max;
};

Bounds bounds(const Call& call) {
  const auto attr = [&](std::string_view name) {
    return has(call.attrs(), name) ? std::optional(get_number(call.attrs(), name)) : std::nullopt;
  };
  if (call.node().op() == "aten.relu6.default") return {0.0, 6.0};
  if (call.node().op() == "aten.hardtanh.default") return {attr("min_val"), attr("max_val")};
  return {attr("min"), attr("max")};
}

// `value` within what an integer type can hold, which clamps to the same numbers.
double representable(DType dtype, double value) {
  if (is_floating(dtype) || bits(dtype) > 32) return value;
  const double steps = static_cast<double>(int64_t{1} << bits(dtype));
  const bool is_unsigned = dtype == DType::u8 || dtype == DType::u16;
  return std::clamp(value, is_unsigned ? 0 : -steps / 2, (is_unsigned ? steps : steps / 2) - 1);
}

}  // namespace

Status unary(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result(kUnary.at(call.node().op()), {x});
}

Status identity(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  return call.result("Identity", {x});
}

// floor and round of integers are the integers.
Status rounding(const Call& call) { return is_floating(call.dtype(0)) ? unary(call) : identity(call); }

Status sign(const Call& call) {
  const DType wide = arithmetic_type(call.dtype(0));
  QUOIN_TRY(const std::string x, call.in_as(0, wide));
  const std::string& op = kUnary.at(call.node().op());
  if (wide == call.dtype(0)) return call.result(op, {x});
  return call.result("Cast", {call.step(op, {x})}, {{"to", int64_t{*onnx_type(call.dtype(0))}}});
}

Status relu(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  if (is_floating(call.dtype(0))) return call.result("Relu", {x});
  return call.result("Clip", {x, call.number("min", call.dtype(0), 0)});
}

Status clamp(const Call& call) {
  const DType dtype = call.out_type().dtype;
  QUOIN_TRY(const std::string x, operand(call));
  const auto [min, max] = bounds(call);
  Names inputs{x, min ? call.number("min", dtype, representable(dtype, *min)) : ""};
  if (max) inputs.push_back(call.number("max", dtype, representable(dtype, *max)));
  return call.result("Clip", inputs);
}

Status leaky_relu(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result("LeakyRelu", {x}, {{"alpha", get_number(call.attrs(), "negative_slope")}});
}

// scale * elu(x * input_scale)
Status elu(const Call& call) {
  const DType dtype = call.out_type().dtype;
  const double scale = get_number(call.attrs(), "scale"), input_scale = get_number(call.attrs(), "input_scale");
  if (input_scale != 1)
    return fail(Code::unsupported, "elu with input_scale {} has no exact ONNX form (1 has one)", input_scale);
  QUOIN_TRY(const std::string x, operand(call));
  const Attrs attrs{{"alpha", get_number(call.attrs(), "alpha")}};
  if (scale == 1) return call.result("Elu", {x}, attrs);
  return call.result("Mul", {call.step("Elu", {x}, attrs), call.number("scale", dtype, scale)});
}

Status hardsigmoid(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result("HardSigmoid", {x}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}});
}

// x * hardsigmoid(x); an operator of its own since opset 14.
Status hardswish(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  if (call.opset() >= 14) return call.result("HardSwish", {x});
  return call.result("Mul", {x, call.step("HardSigmoid", {x}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}})});
}

Status silu(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result("Mul", {x, call.step("Sigmoid", {x})});
}

// An operator of its own since opset 20. Before: x / 2 * (1 + erf(x / sqrt 2)), or with
// tanh(sqrt(2 / pi) * (x + 0.044715 x^3)) instead of erf.
Status gelu(const Call& call) {
  const DType dtype = call.out_type().dtype;
  QUOIN_TRY(const std::string x, operand(call));
  const std::string& mode = get_text(call.attrs(), "approximate");
  if (call.opset() >= 20) return call.result("Gelu", {x}, {{"approximate", mode}});
  const auto number = [&](const char* suffix, double value) { return call.number(suffix, dtype, value); };
  std::string inner;
  if (mode == "none") {
    inner = call.step("Erf", {call.step("Div", {x, number("sqrt2", 1.4142135623730951)})});
  } else {
    const std::string cube = call.step("Mul", {call.step("Mul", {x, x}), x});
    const std::string sum = call.step("Add", {x, call.step("Mul", {cube, number("cubic", 0.044715)})});
    inner = call.step("Tanh", {call.step("Mul", {sum, number("factor", 0.7978845608028654)})});
  }
  const std::string gate = call.step("Add", {inner, number("one", 1.0)});
  return call.result("Mul", {call.step("Mul", {x, gate}), number("half", 0.5)});
}

Status rsqrt(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result("Reciprocal", {call.step("Sqrt", {x})});
}

Status power(const Call& call) {
  QUOIN_TRY(const std::string x, operand(call));
  return call.result("Pow", {x, call.number("exponent", call.out_type().dtype, get_number(call.attrs(), "exponent"))});
}

Status logical_not(const Call& call) {
  QUOIN_TRY(const std::string x, call.in_as(0, DType::boolean));
  return call.result("Not", {x});
}

Status to_dtype(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  QUOIN_TRY(const int32_t code, onnx_type(call.out_type().dtype));
  return call.result("Cast", {x}, {{"to", int64_t{code}}});
}

}  // namespace quoin::exporter
