// Elementwise operators of two tensors, or of a tensor and a number.
#include <string>
#include <unordered_map>

#include "export/onnx_ops.hpp"
#include "ops/shape.hpp"

namespace quoin::exporter {
namespace {

// "aten.add.Tensor" -> "add"
std::string stem(const Call& call) {
  const std::string& op = call.node().op();
  return op.substr(5, op.find('.', 5) - 5);
}

const std::unordered_map<std::string, std::string> kArithmetic = {
    {"add", "Add"}, {"sub", "Sub"}, {"mul", "Mul"}, {"div", "Div"}, {"maximum", "Max"}, {"minimum", "Min"}};
const std::unordered_map<std::string, std::string> kComparison = {{"eq", "Equal"},       {"ne", "Equal"},
                                                                  {"lt", "Less"},        {"gt", "Greater"},
                                                                  {"le", "LessOrEqual"}, {"ge", "GreaterOrEqual"}};
const std::unordered_map<std::string, std::string> kLogical = {{"logical_and", "And"}, {"logical_or", "Or"}};

// The result of `op` in the type it was computed in, as the node's own result.
Status finish(const Call& call, const std::string& op, const Names& inputs, DType computed) {
  const DType wanted = call.out_type().dtype;
  if (computed == wanted) return call.result(op, inputs);
  return call.result("Cast", {call.step(op, inputs)}, {{"to", int64_t{*onnx_type(wanted)}}});
}

// b, or alpha * b.
std::string scaled(const Call& call, const std::string& b, DType dtype) {
  const double alpha = has(call.attrs(), "alpha") ? get_number(call.attrs(), "alpha") : 1;
  return alpha == 1 ? b : call.step("Mul", {b, call.number("alpha", dtype, alpha)});
}

}  // namespace

Status binary(const Call& call) {
  const DType dtype = arithmetic_type(call.out_type().dtype);
  QUOIN_TRY(const std::string a, call.in_as(0, dtype));
  QUOIN_TRY(const std::string b, call.in_as(1, dtype));
  return finish(call, kArithmetic.at(stem(call)), {a, scaled(call, b, dtype)}, dtype);
}

Status scalar_binary(const Call& call) {
  const DType dtype = arithmetic_type(call.out_type().dtype);
  QUOIN_TRY(const std::string a, call.in_as(0, dtype));
  const std::string other = call.number("other", dtype, get_number(call.attrs(), "other"));
  return finish(call, kArithmetic.at(stem(call)), {a, scaled(call, other, dtype)}, dtype);
}

// Both operands in the type that holds either.
Status comparison(const Call& call) {
  const bool number = !call.has_in(1);
  const double other = number ? get_number(call.attrs(), "other") : 0;
  const DType dtype =
      arithmetic_type(number ? with_number(call.dtype(0), other) : promote(call.dtype(0), call.dtype(1)));
  QUOIN_TRY(const std::string a, call.in_as(0, dtype));
  std::string b;
  if (number) {
    b = call.number("other", dtype, other);
  } else {
    QUOIN_TRY(b, call.in_as(1, dtype));
  }
  const std::string what = stem(call), &op = kComparison.at(what);
  if (what != "ne") return call.result(op, {a, b});
  return call.result("Not", {call.step(op, {a, b})});
}

Status logical(const Call& call) {
  QUOIN_TRY(const std::string a, call.in_as(0, DType::boolean));
  QUOIN_TRY(const std::string b, call.in_as(1, DType::boolean));
  return call.result(kLogical.at(stem(call)), {a, b});
}

Status bitwise(const Call& call) {
  const DType dtype = call.out_type().dtype;
  const bool both = stem(call) == "bitwise_and";
  QUOIN_TRY(const std::string a, call.in_as(0, dtype));
  QUOIN_TRY(const std::string b, call.in_as(1, dtype));
  if (dtype == DType::boolean) return call.result(both ? "And" : "Or", {a, b});
  QUOIN_CHECK(call.need(18, "bitwise arithmetic on integers"));
  return call.result(both ? "BitwiseAnd" : "BitwiseOr", {a, b});
}

Status where(const Call& call) {
  const DType dtype = call.out_type().dtype;
  const bool number = call.input_count() == 2, self = has(call.attrs(), "self");
  QUOIN_TRY(const std::string condition, call.in_as(0, DType::boolean));
  QUOIN_TRY(const std::string first, call.in_as(1, dtype));
  if (!number) {
    QUOIN_TRY(const std::string second, call.in_as(2, dtype));
    return call.result("Where", {condition, first, second});
  }
  const std::string value = call.number("value", dtype, get_number(call.attrs(), self ? "self" : "other"));
  return call.result("Where", self ? Names{condition, value, first} : Names{condition, first, value});
}

}  // namespace quoin::exporter
