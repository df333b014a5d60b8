#include <cmath>
#include <string_view>
#include <unordered_map>

#include "import/onnx_ops.hpp"

namespace quoin::import::onnx_format {
namespace {

using Names = std::unordered_map<std::string_view, std::string_view>;

const Names kUnary = {{"Relu", "aten.relu.default"},
                      {"Sigmoid", "aten.sigmoid.default"},
                      {"Tanh", "aten.tanh.default"},
                      {"HardSwish", "aten.hardswish.default"},
                      {"Erf", "aten.erf.default"},
                      {"Exp", "aten.exp.default"},
                      {"Log", "aten.log.default"},
                      {"Sqrt", "aten.sqrt.default"},
                      {"Neg", "aten.neg.default"},
                      {"Abs", "aten.abs.default"},
                      {"Reciprocal", "aten.reciprocal.default"},
                      {"Floor", "aten.floor.default"},
                      {"Round", "aten.round.default"},
                      {"Sin", "aten.sin.default"},
                      {"Cos", "aten.cos.default"},
                      {"Not", "aten.logical_not.default"}};

const Names kBinary = {
    {"Sub", "aten.sub.Tensor"},        {"Mul", "aten.mul.Tensor"},          {"Equal", "aten.eq.Tensor"},
    {"Greater", "aten.gt.Tensor"},     {"Less", "aten.lt.Tensor"},          {"GreaterOrEqual", "aten.ge.Tensor"},
    {"LessOrEqual", "aten.le.Tensor"}, {"And", "aten.logical_and.default"}, {"Or", "aten.logical_or.default"},
    {"Sum", "aten.add.Tensor"},        {"Max", "aten.maximum.default"},     {"Min", "aten.minimum.default"}};

bool near(double a, double b) { return std::abs(a - b) < 1e-6; }

// The bias of a linear that was made from a MatMul with a constant: Add(MatMul(x, W), b), b of one dim.
ValueId linear_of(const Call& call, size_t slot) {
  const Builder& b = call.builder;
  const ValueId product = call.optional(slot), bias = call.optional(1 - slot);
  const ir::NodeId maker = b.graph.value(product).producer;
  if (maker == kNone || b.graph.node(maker).op() != "aten.linear.default" || b.graph.input(maker, 2) != kNone)
    return kNone;
  if (call.uses(slot) != 1 || !b.known(bias) || b.shape(bias) != Shape{b.shape(product).back()}) return kNone;
  return product;
}

}  // namespace

Result<Values> unary(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  return call.builder.result(kUnary.at(call.op()), {x});
}

Result<Values> binary(const Call& call) {
  QUOIN_TRY(const ValueId a, call.input(0));
  QUOIN_TRY(const ValueId b, call.input(1));
  return call.builder.result(kBinary.at(call.op()), {a, b});
}

Result<Values> add(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId left, call.input(0));
  QUOIN_TRY(const ValueId right, call.input(1));
  for (const size_t slot : {size_t{0}, size_t{1}}) {
    const ValueId product = linear_of(call, slot);
    if (product == kNone) continue;
    const ir::NodeId linear = b.graph.value(product).producer;
    const Values operands{b.graph.input(linear, 0), b.graph.input(linear, 1), slot == 0 ? right : left};
    return b.result("aten.linear.default", operands);
  }
  return b.result("aten.add.Tensor", {left, right});
}

Result<Values> divide(const Call& call) {
  QUOIN_TRY(const ValueId a, call.input(0));
  QUOIN_TRY(const ValueId b, call.input(1));
  if (!is_floating(call.builder.dtype(a)))
    return fail(Code::unsupported, "integer division of values that are known only when the model runs");
  return call.builder.result("aten.div.Tensor", {a, b});
}

// Sum, Max, Min of any number of operands, from left to right.
Result<Values> variadic(const Call& call) {
  QUOIN_TRY(ValueId total, call.input(0));
  const size_t count = call.input_count();
  for (size_t i = 1; i < count; ++i) {
    QUOIN_TRY(const ValueId next, call.input(i));
    const std::string_view op = kBinary.at(call.op());
    QUOIN_TRY(total, i + 1 == count ? call.builder.emit(op, {total, next}) : call.builder.step(op, {total, next}));
  }
  return Values{total};
}

Result<Values> power(const Call& call) {
  QUOIN_TRY(const ValueId base, call.input(0));
  QUOIN_TRY(const auto exponent, call.known_numbers(1));
  if (exponent.size() != 1) return fail(Code::unsupported, "Pow with {} exponents; one is supported", exponent.size());
  return call.builder.result("aten.pow.Tensor_Scalar", {base}, {{"exponent", exponent[0]}});
}

// Bounds are operands since opset 11.
Result<Values> clip(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  std::optional<double> bounds[2];
  for (size_t i = 0; i < 2; ++i) {
    const char* name = i == 0 ? "min" : "max";
    if (call.optional(i + 1) != kNone) {
      QUOIN_TRY(const auto value, call.known_numbers(i + 1));
      if (value.size() != 1) return fail(Code::model, "{} must be one number, found {}", name, value.size());
      bounds[i] = value[0];
    } else if (call.has_attr(name)) {
      QUOIN_TRY(bounds[i], call.number(name));
    }
  }
  const auto [min, max] = bounds;
  if (!min && !max) return Values{x};
  if (min && max && is_floating(call.builder.dtype(x)))
    return call.builder.result("aten.hardtanh.default", {x}, {{"min_val", *min}, {"max_val", *max}});
  Attrs attrs;
  if (min) attrs["min"] = *min;
  if (max) attrs["max"] = *max;
  return call.builder.result("aten.clamp.default", {x}, std::move(attrs));
}

Result<Values> leaky_relu(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const double slope, call.number("alpha", 0.01));
  return call.builder.result("aten.leaky_relu.default", {x}, {{"negative_slope", slope}});
}

Result<Values> elu(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const double alpha, call.number("alpha", 1.0));
  return call.builder.result("aten.elu.default", {x}, {{"alpha", alpha}});
}

Result<Values> selu(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const double alpha, call.number("alpha", 1.67326319217681884765625));
  QUOIN_TRY(const double gamma, call.number("gamma", 1.05070102214813232421875));
  return call.builder.result("aten.elu.default", {x}, {{"alpha", alpha}, {"scale", gamma}});
}

// max(x, 0) + slope * min(x, 0)
Result<Values> prelu(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId slope, call.input(1));
  QUOIN_TRY(const ValueId positive, b.step("aten.clamp_min.default", {x}, {{"min", 0.0}}));
  QUOIN_TRY(const ValueId negative, b.step("aten.clamp_max.default", {x}, {{"max", 0.0}}));
  QUOIN_TRY(const ValueId scaled, b.step("aten.mul.Tensor", {negative, slope}));
  return b.result("aten.add.Tensor", {positive, scaled});
}

// clamp(alpha * x + beta, 0, 1); torch's form has alpha 1/6.
Result<Values> hard_sigmoid(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const double alpha, call.number("alpha", 0.20000000298023224));
  QUOIN_TRY(const double beta, call.number("beta", 0.5));
  if (near(alpha, 1.0 / 6) && near(beta, 0.5)) return b.result("aten.hardsigmoid.default", {x});
  QUOIN_TRY(const ValueId scaled, b.step("aten.mul.Scalar", {x}, {{"other", alpha}}));
  QUOIN_TRY(const ValueId shifted, b.step("aten.add.Scalar", {scaled}, {{"other", beta}}));
  return b.result("aten.hardtanh.default", {shifted}, {{"min_val", 0.0}, {"max_val", 1.0}});
}

Result<Values> gelu(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(std::string mode, call.text("approximate", "none"));
  return call.builder.result("aten.gelu.default", {x}, {{"approximate", std::move(mode)}});
}

Result<Values> where(const Call& call) {
  QUOIN_TRY(const ValueId condition, call.input(0));
  QUOIN_TRY(const ValueId yes, call.input(1));
  QUOIN_TRY(const ValueId no, call.input(2));
  return call.builder.result("aten.where.self", {condition, yes, no});
}

Result<Values> cast(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const int64_t code, call.integer("to"));
  QUOIN_TRY(const DType dtype, element_type(static_cast<int32_t>(std::min<int64_t>(std::max<int64_t>(code, 0), 1000))));
  if (dtype == call.builder.dtype(x)) return Values{x};
  return call.builder.result("aten.to.dtype", {x}, {{"dtype", std::string(name(dtype))}});
}

Result<Values> identity(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  return Values{x};
}

// Nothing at inference; the mask (second result) has no counterpart.
Result<Values> dropout(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  if (call.optional(2) != kNone) {
    QUOIN_TRY(const auto training, call.known_ints(2));
    if (!training.empty() && training[0] != 0)
      return fail(Code::unsupported, "Dropout in training mode gives random results")
          .hint("export the model for inference");
  }
  return Values{x};
}

Result<Values> constant(const Call& call) {
  Builder& b = call.builder;
  Tensor out;
  if (call.has_attr("value")) {
    QUOIN_TRY(out, call.tensor("value"));
  } else if (call.has_attr("value_int")) {
    QUOIN_TRY(const int64_t value, call.integer("value_int"));
    out = integer_tensor({}, {value});
  } else if (call.has_attr("value_ints")) {
    QUOIN_TRY(const auto values, call.ints("value_ints"));
    out = integer_tensor({static_cast<int64_t>(values.size())}, values);
  } else if (call.has_attr("value_float")) {
    QUOIN_TRY(const double value, call.number("value_float"));
    out = Tensor(DType::f32, {});
    out.as<float>()[0] = static_cast<float>(value);
  } else if (call.has_attr("value_floats")) {
    QUOIN_TRY(const auto values, call.floats("value_floats"));
    out = Tensor(DType::f32, {static_cast<int64_t>(values.size())});
    for (size_t i = 0; i < values.size(); ++i) out.as<float>()[i] = static_cast<float>(values[i]);
  } else {
    return fail(Code::unsupported, "Constant without a numeric value");
  }
  return Values{b.graph.add_constant(b.name(), std::move(out))};
}

Result<Values> constant_of_shape(const Call& call) {
  QUOIN_TRY(Shape size, call.known_ints(0));
  double value = 0;
  DType dtype = DType::f32;
  if (call.has_attr("value")) {
    QUOIN_TRY(const Tensor tensor, call.tensor("value"));
    if (tensor.size() != 1 || !has_numbers(tensor.dtype()))
      return fail(Code::unsupported, "the value must be one number");
    value = numbers(tensor)[0];
    dtype = tensor.dtype();
  }
  return call.builder.result("aten.full.default", {},
                             {{"size", std::move(size)}, {"fill_value", value}, {"dtype", std::string(name(dtype))}});
}

Result<Values> range(const Call& call) {
  double bounds[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    QUOIN_TRY(const auto value, call.known_numbers(i));
    if (value.size() != 1) return fail(Code::model, "operand {} of Range must be one number", i);
    bounds[i] = value[0];
  }
  const std::string dtype(name(call.builder.dtype(call.optional(0))));
  return call.builder.result("aten.arange.start_step", {},
                             {{"start", bounds[0]}, {"end", bounds[1]}, {"step", bounds[2]}, {"dtype", dtype}});
}

}  // namespace quoin::import::onnx_format
