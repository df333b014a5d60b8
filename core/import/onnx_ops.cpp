#include "import/onnx_ops.hpp"

#include <algorithm>
#include <unordered_map>

namespace quoin::import::onnx_format {
namespace {

using onnx::AttributeProto;

// Only shape arithmetic has a meaning here; fold() has tried and the operands are not known.
Result<Values> must_fold(const Call& call) {
  return fail(Code::unsupported, "{} of values that are known only when the model runs", call.op())
      .hint("export the model with fixed sizes");
}

// The single place to teach the importer an operator.
const std::unordered_map<std::string, Convert>& table() {
  static const std::unordered_map<std::string, Convert> rows = {
      {"Relu", unary},
      {"Sigmoid", unary},
      {"Tanh", unary},
      {"HardSwish", unary},
      {"Erf", unary},
      {"Exp", unary},
      {"Log", unary},
      {"Sqrt", unary},
      {"Neg", unary},
      {"Abs", unary},
      {"Reciprocal", unary},
      {"Floor", unary},
      {"Round", unary},
      {"Sin", unary},
      {"Cos", unary},
      {"Not", unary},
      {"Sub", binary},
      {"Mul", binary},
      {"Equal", binary},
      {"Greater", binary},
      {"Less", binary},
      {"GreaterOrEqual", binary},
      {"LessOrEqual", binary},
      {"And", binary},
      {"Or", binary},
      {"Add", add},
      {"Div", divide},
      {"Sum", variadic},
      {"Max", variadic},
      {"Min", variadic},
      {"Pow", power},
      {"Clip", clip},
      {"LeakyRelu", leaky_relu},
      {"Elu", elu},
      {"Selu", selu},
      {"PRelu", prelu},
      {"HardSigmoid", hard_sigmoid},
      {"Gelu", gelu},
      {"com.microsoft::Gelu", gelu},
      {"Where", where},
      {"Cast", cast},
      {"Identity", identity},
      {"Dropout", dropout},
      {"Constant", constant},
      {"ConstantOfShape", constant_of_shape},
      {"Range", range},
      {"Shape", must_fold},
      {"Size", must_fold},
      {"Mod", must_fold},
      {"ReduceProd", must_fold},
      {"Conv", conv},
      {"ConvTranspose", conv_transpose},
      {"Gemm", gemm},
      {"MatMul", matmul},
      {"BatchNormalization", batch_normalization},
      {"LayerNormalization", layer_normalization},
      {"InstanceNormalization", instance_normalization},
      {"GroupNormalization", group_normalization},
      {"Softmax", softmax},
      {"LogSoftmax", softmax},
      {"MaxPool", max_pool},
      {"AveragePool", average_pool},
      {"GlobalAveragePool", global_pool},
      {"GlobalMaxPool", global_pool},
      {"Resize", resize},
      {"ReduceMean", reduce},
      {"ReduceSum", reduce},
      {"ReduceMax", reduce},
      {"ReduceMin", reduce},
      {"ReduceL1", reduce},
      {"ReduceL2", reduce},
      {"ArgMax", arg_max},
      {"Reshape", reshape},
      {"Flatten", flatten},
      {"Transpose", transpose},
      {"Squeeze", squeeze},
      {"Unsqueeze", unsqueeze},
      {"Expand", expand},
      {"Tile", tile},
      {"Slice", slice},
      {"Split", split},
      {"Concat", concat},
      {"Pad", pad},
      {"Gather", gather},
      {"GatherElements", gather_elements},
      {"GatherND", gather_nd},
      {"DepthToSpace", depth_to_space},
      {"QuantizeLinear", quantize_linear},
      {"com.microsoft::QuantizeLinear", quantize_linear},
      {"DequantizeLinear", dequantize_linear},
      {"com.microsoft::DequantizeLinear", dequantize_linear},
  };
  return rows;
}

}  // namespace

std::string qualified(const onnx::NodeProto& node) {
  if (node.domain().empty() || node.domain() == "ai.onnx") return node.op_type();
  return node.domain() + "::" + node.op_type();
}

Convert find_conversion(const std::string& op) {
  const auto found = table().find(op);
  return found == table().end() ? nullptr : found->second;
}

std::vector<std::string> known_operators() {
  std::vector<std::string> out;
  for (const auto& [op, convert] : table()) out.push_back(op);
  std::ranges::sort(out);
  return out;
}

Result<std::vector<int64_t>> wrap_axes(const Builder& builder, std::vector<int64_t> axes, size_t rank) {
  for (int64_t& axis : axes) {
    QUOIN_TRY(axis, builder.wrap(axis, rank));
  }
  std::ranges::sort(axes);
  if (std::ranges::adjacent_find(axes) != axes.end())
    return fail(Code::model, "axes {} name one twice", to_string(axes));
  return axes;
}

Result<ValueId> Call::input(size_t i) const {
  if (optional(i) == kNone) return fail(Code::model, "operand {} is missing", i);
  return inputs_[i];
}

const AttributeProto* Call::attr(std::string_view name) const {
  for (const AttributeProto& each : proto_.attribute())
    if (each.name() == name) return &each;
  return nullptr;
}

Result<const AttributeProto*> Call::attr(std::string_view name, AttributeProto::AttributeType type) const {
  const AttributeProto* found = attr(name);
  if (!found) return fail(Code::model, "attribute \"{}\" is missing", name);
  // Attributes of model-local functions refer to the caller's; there is none here.
  if (found->type() != type)
    return fail(Code::model, "attribute \"{}\" has type {}, expected {}", name, static_cast<int>(found->type()),
                static_cast<int>(type));
  return found;
}

Result<int64_t> Call::integer(std::string_view name, std::optional<int64_t> fallback) const {
  if (fallback && !has_attr(name)) return *fallback;
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::INT));
  return found->i();
}

Result<double> Call::number(std::string_view name, std::optional<double> fallback) const {
  if (fallback && !has_attr(name)) return *fallback;
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::FLOAT));
  return static_cast<double>(found->f());
}

Result<std::string> Call::text(std::string_view name, std::optional<std::string> fallback) const {
  if (fallback && !has_attr(name)) return *std::move(fallback);
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::STRING));
  return found->s();
}

Result<std::vector<int64_t>> Call::ints(std::string_view name, std::optional<std::vector<int64_t>> fallback) const {
  if (fallback && !has_attr(name)) return *std::move(fallback);
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::INTS));
  return std::vector<int64_t>(found->ints().begin(), found->ints().end());
}

Result<std::vector<double>> Call::floats(std::string_view name) const {
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::FLOATS));
  return std::vector<double>(found->floats().begin(), found->floats().end());
}

Result<Tensor> Call::tensor(std::string_view name) const {
  QUOIN_TRY(const AttributeProto* found, attr(name, AttributeProto::TENSOR));
  const auto index = found - &proto_.attribute(0);
  return reader_.read(*proto_.mutable_attribute(static_cast<int>(index))->mutable_t());
}

Result<std::vector<int64_t>> Call::known_ints(size_t i) const {
  QUOIN_TRY(const ValueId value, input(i));
  const Tensor* tensor = builder.known(value);
  if (!tensor) return fail(Code::unsupported, "operand {} is known only when the model runs; it must be constant", i);
  if (is_floating(tensor->dtype()) || !has_numbers(tensor->dtype()))
    return fail(Code::model, "operand {} must hold integers, found {}", i, name(tensor->dtype()));
  return integers(*tensor);
}

Result<std::vector<double>> Call::known_numbers(size_t i) const {
  QUOIN_TRY(const ValueId value, input(i));
  const Tensor* tensor = builder.known(value);
  if (!tensor) return fail(Code::unsupported, "operand {} is known only when the model runs; it must be constant", i);
  if (!has_numbers(tensor->dtype()))
    return fail(Code::unsupported, "operand {} of type {} is not supported", i, name(tensor->dtype()));
  return numbers(*tensor);
}

Result<std::optional<std::vector<int64_t>>> Call::ints_of(size_t i, std::string_view name) const {
  if (optional(i) != kNone) {
    QUOIN_TRY(auto list, known_ints(i));
    return list;
  }
  if (!has_attr(name)) return std::nullopt;
  QUOIN_TRY(auto list, ints(name));
  return list;
}

}  // namespace quoin::import::onnx_format
