// Qparams chosen at run time. ONNX has an operator only for u8 per tensor (DynamicQuantizeLinear), with another formula
// for the scale; so the chain is written as arithmetic, step by step as the portable kernels compute it, in f32 and
// with rounding half to even. A runtime that computes those steps as IEEE 754 asks for gets the same integers.
#include <quoin/numerics.hpp>

#include "export/onnx_ops.hpp"

namespace quoin::exporter {
namespace {

// Short names for the steps of one node.
class Arithmetic {
 public:
  explicit Arithmetic(const Call& call) : call_(call) {}
  std::string operator()(const std::string& op, const Names& inputs) const { return call_.step(op, inputs); }
  std::string number(const char* suffix, double value) const { return call_.number(suffix, DType::f32, value); }
  std::string clip(const std::string& x, double low, double high) const {
    return call_.step("Clip", {x, number("low", low), number("high", high)});
  }

 private:
  const Call& call_;
};

double attr(const Call& call, std::string_view name) { return static_cast<double>(get_int(call.attrs(), name)); }

// The chosen scale and zero point, both f32, as the node's results. Nodes of the chain read the f32 forms.
Status give(const Call& call, const std::string& scale, const std::string& zero_point) {
  const std::string forms[] = {scale, zero_point};
  for (size_t i = 0; i < 2; ++i) {
    const DType wanted = call.out_type(i).dtype;
    QUOIN_TRY(const std::string name, call.to().value(call.node().outputs[i]));
    if (wanted == DType::f32) {
      QUOIN_CHECK(call.result("Identity", {forms[i]}, {}, i));
      continue;
    }
    QUOIN_CHECK(call.result("Cast", {forms[i]}, {{"to", int64_t{*onnx_type(wanted)}}}, i));
    call.to().provide(name, DType::f32, forms[i]);
  }
  return {};
}

// Operand i (scale or zero point) as f32, in a shape that broadcasts against operand 0.
Result<std::string> parameter(const Call& call, size_t i) {
  if (!call.has_in(i)) return call.number("zero", DType::f32, 0);
  QUOIN_TRY(const std::string value, call.in_as(i, DType::f32));
  const Shape& shape = call.shape(i);
  if (has(call.attrs(), "axis")) {
    Shape column(call.rank(0), 1);
    column[static_cast<size_t>(call.axis("axis", call.rank(0)))] = shape[0];
    return call.reshape(value, column);
  }
  if (has(call.attrs(), "group_size") || has(call.attrs(), "block_size"))
    return fail(Code::unsupported, "blocks whose scales are known only when the model runs have no ONNX form");
  if (numel(shape) == 1) return call.rank(0) == 0 ? call.reshape(value, {}) : Result<std::string>(value);
  Shape tokens = call.shape(0);
  tokens.back() = 1;
  return tokens == shape ? Result<std::string>(value) : call.reshape(value, tokens);
}

}  // namespace

// numerics::choose_qparams over the whole tensor.
Status choose_tensor(const Call& call) {
  const Arithmetic step(call);
  QUOIN_TRY(const std::string x, call.in_as(0, DType::f32));
  QUOIN_TRY(const std::string flat, call.reshape(x, {numel(call.shape(0))}));
  const std::string zero = step.number("zero", 0), eps = step.number("eps", get_number(call.attrs(), "eps"));
  const std::string low = step("Min", {reduce(call, "ReduceMin", flat, {0}, true), zero});
  const std::string high = step("Max", {reduce(call, "ReduceMax", flat, {0}, true), zero});
  const double qmin = attr(call, "quant_min"), qmax = attr(call, "quant_max");
  if (call.node().op() == "quantized_decomposed.choose_qparams_symmetric.tensor") {
    const std::string reach = step("Max", {step("Neg", {low}), high});
    const std::string scale = step("Max", {step("Div", {reach, step.number("half", (qmax - qmin) / 2)}), eps});
    const auto middle = static_cast<float>(
        numerics::choose_qparams(0, 0, static_cast<int32_t>(qmin), static_cast<int32_t>(qmax), true).zero_point);
    return give(call, scale, call.constant("middle", Tensor::of<float>(DType::f32, {1}, std::span(&middle, 1))));
  }
  const std::string span = step("Sub", {high, low});
  const std::string scale = step("Max", {step("Div", {span, step.number("steps", qmax - qmin)}), eps});
  const std::string below = step("Round", {step("Div", {low, scale})});
  return give(call, scale, step.clip(step("Sub", {step.number("qmin", qmin), below}), qmin, qmax));
}

// One range per row of the last dim, s8 in -128..127. Asymmetric: the zero point comes from the end of the range whose
// rounding error is smaller.
Status choose_token(const Call& call) {
  const Arithmetic step(call);
  QUOIN_TRY(const std::string x, call.in_as(0, DType::f32));
  const Shape last{static_cast<int64_t>(call.rank(0)) - 1};
  const std::string min = reduce(call, "ReduceMin", x, last, true), max = reduce(call, "ReduceMax", x, last, true);
  if (call.node().op() == "quantized_decomposed.choose_qparams_per_token.default") {
    const std::string reach = step("Max", {step("Max", {step("Neg", {min}), max}), step.number("least", 1e-5)});
    return give(call, step("Div", {reach, step.number("steps", 127)}),
                call.constant("zeros", Tensor(DType::f32, call.out_type(1).shape)));
  }
  const std::string zero = step.number("zero", 0);
  const std::string low = step("Min", {min, zero}), high = step("Max", {max, zero});
  const std::string spread = step("Div", {step("Sub", {high, low}), step.number("steps", 255)});
  const std::string scale = step("Max", {spread, step.number("eps", static_cast<double>(numerics::kDefaultEps))});
  const std::string qmin = step.number("qmin", -128), qmax = step.number("qmax", 127);
  const std::string from_low = step("Div", {low, scale}), from_high = step("Div", {high, scale});
  const std::string error = step("Add", {step("Add", {qmin, from_low}), step("Add", {qmax, from_high})});
  const std::string exact =
      step("Where", {step("Greater", {error, zero}), step("Sub", {qmin, from_low}), step("Sub", {qmax, from_high})});
  return give(call, scale, step("Round", {step.clip(exact, -128, 127)}));
}

// clamp(round(x * (1 / s)) + z); per token and per group clamp(round(x * (1 / s) + z)).
Status quantize_dynamic(const Call& call) {
  const Arithmetic step(call);
  QUOIN_TRY(const std::string x, call.in_as(0, DType::f32));
  QUOIN_TRY(const std::string scale, parameter(call, 1));
  QUOIN_TRY(const std::string zero_point, parameter(call, 2));
  const DType dtype = call.out_type().dtype;
  if (dtype == DType::s32) return fail(Code::unsupported, "quantizing to s32 at run time has no ONNX form");
  const std::string steps = step("Mul", {x, step("Reciprocal", {scale})});
  const bool zero_first = call.node().op() == "quantized_decomposed.quantize_per_token.default";
  const std::string moved = zero_first ? step("Round", {step("Add", {steps, zero_point})})
                                       : step("Add", {step("Round", {steps}), zero_point});
  const std::string within = step.clip(moved, attr(call, "quant_min"), attr(call, "quant_max"));
  return call.result("Cast", {within}, {{"to", int64_t{*onnx_type(dtype)}}});
}

// (q - z) * s
Status dequantize_dynamic(const Call& call) {
  QUOIN_TRY(const std::string q, call.in_as(0, DType::f32));
  QUOIN_TRY(const std::string scale, parameter(call, 1));
  QUOIN_TRY(const std::string zero_point, parameter(call, 2));
  return call.result("Mul", {call.step("Sub", {q, zero_point}), scale});
}

}  // namespace quoin::exporter
