// Convolutions, matrix products, normalisations.
#include <limits>
#include <numeric>

#include "export/onnx_ops.hpp"

namespace quoin::exporter {
namespace {

Attrs window_attrs(const Call& call) {
  const Shape& weight = call.shape(1);
  Shape pads = get_ints(call.attrs(), "padding");
  pads.insert(pads.end(), pads.begin(), pads.end());  // in front, then behind
  return {{"kernel_shape", Shape(weight.begin() + 2, weight.end())},
          {"strides", get_ints(call.attrs(), "stride")},
          {"dilations", get_ints(call.attrs(), "dilation")},
          {"pads", pads},
          {"group", get_int(call.attrs(), "groups")}};
}

// All operands; absent ones at the end are left out.
Result<Names> operands(const Call& call) {
  Names out;
  for (size_t i = 0; i < call.input_count(); ++i) {
    QUOIN_TRY(out.emplace_back(), call.in(i));
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

// Operand i, or a constant of `count` times `value` where it is absent.
Result<std::string> or_constant(const Call& call, size_t i, const Shape& shape, float value, const char* suffix) {
  if (call.has_in(i)) return call.in(i);
  const std::vector<float> values(static_cast<size_t>(numel(shape)), value);
  return call.constant(suffix, Tensor::of<float>(DType::f32, shape, values));
}

Shape last_axes(const Call& call) {
  const auto count = static_cast<int64_t>(get_ints(call.attrs(), "normalized_shape").size());
  Shape axes;
  for (int64_t i = static_cast<int64_t>(call.rank(0)) - count; i < static_cast<int64_t>(call.rank(0)); ++i)
    axes.push_back(i);
  return axes;
}

// value * weight + bias, each where it is present, as the node's result.
Status scaled(const Call& call, std::string value) {
  QUOIN_TRY(const std::string weight, call.in(1));
  QUOIN_TRY(const std::string bias, call.in(2));
  if (weight.empty() && bias.empty()) return call.result("Identity", {value});
  if (!weight.empty() && bias.empty()) return call.result("Mul", {value, weight});
  if (!weight.empty()) value = call.step("Mul", {value, weight});
  return call.result("Add", {value, bias});
}

}  // namespace

Status conv(const Call& call) {
  QUOIN_TRY(const Names inputs, operands(call));
  return call.result("Conv", inputs, window_attrs(call));
}

Status conv_transpose(const Call& call) {
  QUOIN_TRY(const Names inputs, operands(call));
  Attrs attrs = window_attrs(call);
  attrs["output_padding"] = get_ints(call.attrs(), "output_padding");
  return call.result("ConvTranspose", inputs, attrs);
}

// A Gemm, which keeps the weight as it is; it knows only matrices, so other shapes are flattened on the way.
Status linear(const Call& call) {
  QUOIN_TRY(Names inputs, operands(call));
  const Attrs attrs{{"transB", int64_t{1}}};
  if (call.rank(0) == 2) return call.result("Gemm", inputs, attrs);
  const Shape& x = call.shape(0);
  const int64_t rows = std::accumulate(x.begin(), x.end() - 1, int64_t{1}, std::multiplies<>());
  QUOIN_TRY(inputs[0], call.reshape(inputs[0], {rows, x.back()}));
  const std::string product = call.step("Gemm", inputs, attrs);
  return call.result("Reshape", {product, call.integers("out_shape", call.out_type().shape)});
}

Status matmul(const Call& call) {
  const DType dtype = arithmetic_type(call.out_type().dtype);
  QUOIN_TRY(const std::string a, call.in_as(0, dtype));
  QUOIN_TRY(const std::string b, call.in_as(1, dtype));
  if (dtype == call.out_type().dtype) return call.result("MatMul", {a, b});
  return call.result("Cast", {call.step("MatMul", {a, b})}, {{"to", int64_t{*onnx_type(call.out_type().dtype)}}});
}

Status batch_norm(const Call& call) {
  const Shape channels{call.shape(0)[1]};
  Names inputs;
  QUOIN_TRY(inputs.emplace_back(), call.in(0));
  QUOIN_TRY(inputs.emplace_back(), or_constant(call, 1, channels, 1, "weight"));
  QUOIN_TRY(inputs.emplace_back(), or_constant(call, 2, channels, 0, "bias"));
  QUOIN_TRY(inputs.emplace_back(), call.in(3));
  QUOIN_TRY(inputs.emplace_back(), call.in(4));
  return call.result("BatchNormalization", inputs, {{"epsilon", get_number(call.attrs(), "eps")}});
}

// An operator of its own since opset 17. Before: (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias.
Status layer_norm(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const double eps = get_number(call.attrs(), "eps");
  const Shape axes = last_axes(call);
  if (call.opset() >= 17) {
    QUOIN_TRY(const std::string weight, or_constant(call, 1, get_ints(call.attrs(), "normalized_shape"), 1, "weight"));
    QUOIN_TRY(const std::string bias, call.in(2));
    Names inputs{x, weight};
    if (!bias.empty()) inputs.push_back(bias);
    return call.result("LayerNormalization", inputs, {{"axis", axes[0]}, {"epsilon", eps}});
  }
  const std::string centred = call.step("Sub", {x, reduce(call, "ReduceMean", x, axes, true)});
  const std::string variance = reduce(call, "ReduceMean", call.step("Mul", {centred, centred}), axes, true);
  const std::string deviation = call.step("Sqrt", {call.step("Add", {variance, call.number("eps", DType::f32, eps)})});
  return scaled(call, call.step("Div", {centred, deviation}));
}

// x / sqrt(mean(x^2) + eps) * weight; without eps that of f32.
Status rms_norm(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const double eps = has(call.attrs(), "eps") ? get_number(call.attrs(), "eps")
                                              : static_cast<double>(std::numeric_limits<float>::epsilon());
  const std::string mean = reduce(call, "ReduceMean", call.step("Mul", {x, x}), last_axes(call), true);
  const std::string size = call.step("Sqrt", {call.step("Add", {mean, call.number("eps", DType::f32, eps)})});
  return scaled(call, call.step("Div", {x, size}));
}

// Has one scale per channel since opset 21. Before: each group as one instance channel, then weight and bias.
Status group_norm(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const Shape& shape = call.shape(0);
  const int64_t groups = get_int(call.attrs(), "num_groups");
  const double eps = get_number(call.attrs(), "eps");
  if (call.opset() >= kNewOpset) {
    QUOIN_TRY(const std::string weight, or_constant(call, 1, {shape[1]}, 1, "weight"));
    QUOIN_TRY(const std::string bias, or_constant(call, 2, {shape[1]}, 0, "bias"));
    return call.result("GroupNormalization", {x, weight, bias}, {{"num_groups", groups}, {"epsilon", eps}});
  }
  QUOIN_TRY(const std::string flat, call.reshape(x, {shape[0], groups, numel(shape) / (shape[0] * groups)}));
  const std::vector<float> ones(static_cast<size_t>(groups), 1.0f), zeros(static_cast<size_t>(groups), 0.0f);
  const std::string normal = call.step("InstanceNormalization",
                                       {flat, call.constant("ones", Tensor::of<float>(DType::f32, {groups}, ones)),
                                        call.constant("zeros", Tensor::of<float>(DType::f32, {groups}, zeros))},
                                       {{"epsilon", eps}});
  QUOIN_TRY(std::string value, call.reshape(normal, shape));
  Shape channel(shape.size() - 1, 1);
  channel[0] = shape[1];
  for (const size_t i : {size_t{1}, size_t{2}}) {
    if (!call.has_in(i)) continue;
    QUOIN_TRY(const std::string operand, call.in(i));
    QUOIN_TRY(const std::string column, call.reshape(operand, channel));
    value = call.step(i == 1 ? "Mul" : "Add", {value, column});
  }
  return call.result("Identity", {value});
}

Status softmax(const Call& call) {
  QUOIN_TRY(const std::string x, call.in_as(0, call.out_type().dtype));
  const std::string op = call.node().op() == "aten.softmax.int" ? "Softmax" : "LogSoftmax";
  return call.result(op, {x}, {{"axis", call.axis("dim", call.rank(0))}});
}

}  // namespace quoin::exporter
