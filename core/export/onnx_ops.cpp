#include "export/onnx_ops.hpp"

#include <algorithm>
#include <cmath>

#include "export/onnx_modules.hpp"

namespace quoin::exporter {
namespace {

// The single place to teach the exporter an operator.
const std::map<std::string, Convert>& table() {
  static const std::map<std::string, Convert> rows = {
      {"aten.relu.default", relu},
      {"aten.relu6.default", clamp},
      {"aten.hardtanh.default", clamp},
      {"aten.clamp.default", clamp},
      {"aten.clamp_min.default", clamp},
      {"aten.clamp_max.default", clamp},
      {"aten.leaky_relu.default", leaky_relu},
      {"aten.elu.default", elu},
      {"aten.hardswish.default", hardswish},
      {"aten.hardsigmoid.default", hardsigmoid},
      {"aten.sigmoid.default", unary},
      {"aten.tanh.default", unary},
      {"aten.silu.default", silu},
      {"aten.gelu.default", gelu},
      {"aten.exp.default", unary},
      {"aten.log.default", unary},
      {"aten.sqrt.default", unary},
      {"aten.rsqrt.default", rsqrt},
      {"aten.erf.default", unary},
      {"aten.sin.default", unary},
      {"aten.cos.default", unary},
      {"aten.reciprocal.default", unary},
      {"aten.floor.default", rounding},
      {"aten.round.default", rounding},
      {"aten.neg.default", sign},
      {"aten.abs.default", sign},
      {"aten.pow.Tensor_Scalar", power},
      {"aten.logical_not.default", logical_not},
      {"aten.to.dtype", to_dtype},
      {"aten.dropout.default", identity},
      {"aten.contiguous.default", identity},
      {"aten.clone.default", identity},

      {"aten.add.Tensor", binary},
      {"aten.sub.Tensor", binary},
      {"aten.mul.Tensor", binary},
      {"aten.div.Tensor", binary},
      {"aten.maximum.default", binary},
      {"aten.minimum.default", binary},
      {"aten.add.Scalar", scalar_binary},
      {"aten.sub.Scalar", scalar_binary},
      {"aten.mul.Scalar", scalar_binary},
      {"aten.div.Scalar", scalar_binary},
      {"aten.eq.Tensor", comparison},
      {"aten.ne.Tensor", comparison},
      {"aten.lt.Tensor", comparison},
      {"aten.le.Tensor", comparison},
      {"aten.gt.Tensor", comparison},
      {"aten.ge.Tensor", comparison},
      {"aten.eq.Scalar", comparison},
      {"aten.ne.Scalar", comparison},
      {"aten.lt.Scalar", comparison},
      {"aten.le.Scalar", comparison},
      {"aten.gt.Scalar", comparison},
      {"aten.ge.Scalar", comparison},
      {"aten.logical_and.default", logical},
      {"aten.logical_or.default", logical},
      {"aten.bitwise_and.Tensor", bitwise},
      {"aten.bitwise_or.Tensor", bitwise},
      {"aten.where.self", where},
      {"aten.where.ScalarOther", where},
      {"aten.where.ScalarSelf", where},

      {"aten.conv1d.default", conv},
      {"aten.conv2d.default", conv},
      {"aten.conv_transpose2d.input", conv_transpose},
      {"aten.linear.default", linear},
      {"aten.matmul.default", matmul},
      {"aten.bmm.default", matmul},
      {"aten.mm.default", matmul},
      {"aten.batch_norm.default", batch_norm},
      {"aten.layer_norm.default", layer_norm},
      {"aten.rms_norm.default", rms_norm},
      {"aten.group_norm.default", group_norm},
      {"aten.softmax.int", softmax},
      {"aten.log_softmax.int", softmax},

      {"aten.max_pool2d.default", max_pool},
      {"aten.avg_pool2d.default", avg_pool},
      {"aten.adaptive_avg_pool2d.default", adaptive_avg_pool},
      {"aten.upsample_nearest2d.vec", upsample},
      {"aten.upsample_bilinear2d.vec", upsample},
      {"aten.mean.dim", reduction},
      {"aten.sum.dim_IntList", reduction},
      {"aten.amax.default", reduction},
      {"aten.amin.default", reduction},
      {"aten.linalg_vector_norm.default", vector_norm},
      {"aten.argmax.default", argmax},

      {"aten.view.default", view},
      {"aten.reshape.default", view},
      {"aten.flatten.using_ints", view},
      {"aten.squeeze.dim", squeeze},
      {"aten.squeeze.dims", squeeze},
      {"aten.unsqueeze.default", unsqueeze},
      {"aten.permute.default", permute},
      {"aten.transpose.int", permute},
      {"aten.t.default", permute},
      {"aten.expand.default", expand},
      {"aten.expand_as.default", expand},
      {"aten.repeat.default", repeat},
      {"aten.slice.Tensor", slice},
      {"aten.select.int", select},
      {"aten.cat.default", cat},
      {"aten.stack.default", stack},
      {"aten.pad.default", pad},
      {"aten.arange.start_step", arange},
      {"aten.full.default", full},
      {"aten.embedding.default", embedding},
      {"aten.gather.default", gather},
      {"aten.index_select.default", index_select},
      {"aten.index.Tensor", index},

      {"quantized_decomposed.quantize_per_tensor.default", quantize},
      {"quantized_decomposed.quantize_per_tensor.tensor", quantize},
      {"quantized_decomposed.quantize_per_channel.default", quantize},
      {"quantized_decomposed.quantize_per_channel_group.default", quantize},
      {"quantized_decomposed.quantize_per_token.default", quantize},
      {"quantized_decomposed.dequantize_per_tensor.default", dequantize},
      {"quantized_decomposed.dequantize_per_tensor.tensor", dequantize},
      {"quantized_decomposed.dequantize_per_channel.default", dequantize},
      {"quantized_decomposed.dequantize_per_channel_group.default", dequantize},
      {"quantized_decomposed.dequantize_per_token.default", dequantize},
      {"torchao.quantize_affine.default", quantize},
      {"torchao.dequantize_affine.default", dequantize},
      {"quantized_decomposed.choose_qparams.tensor", choose_tensor},
      {"quantized_decomposed.choose_qparams_symmetric.tensor", choose_tensor},
      {"quantized_decomposed.choose_qparams_per_token.default", choose_token},
      {"quantized_decomposed.choose_qparams_per_token_asymmetric.default", choose_token},
  };
  return rows;
}

template <class T>
Tensor scalar(DType dtype, double value) {
  Tensor out(dtype, {});
  out.as<T>()[0] = static_cast<T>(value);
  return out;
}

}  // namespace

Convert find_conversion(const std::string& op) {
  const auto found = table().find(op);
  return found == table().end() ? nullptr : found->second;
}

std::vector<std::string> known_operators() {
  std::vector<std::string> out;
  for (const auto& [op, convert] : table()) out.push_back(op);
  return out;
}

DType arithmetic_type(DType dtype) {
  const bool narrow = !is_floating(dtype) && bits(dtype) < 32;
  return narrow ? DType::s32 : dtype;
}

const Tensor* Call::known(size_t i) const {
  return graph_.is_constant(id(i)) ? &*graph_.value(id(i)).constant : nullptr;
}

int64_t Call::axis(std::string_view attr, size_t rank) const {
  const int64_t axis = get_int(attrs(), attr);
  return axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
}

Result<std::string> Call::in(size_t i) const { return has_in(i) ? to_.value(id(i)) : std::string(); }

Result<std::string> Call::in_as(size_t i, DType wanted) const {
  QUOIN_TRY(const std::string name, in(i));
  return to_.cast(name, dtype(i), wanted);
}

Status Call::result(const std::string& op, const Names& inputs, const Attrs& attrs, size_t i) const {
  QUOIN_TRY(const std::string out, to_.value(node_.outputs[i]));
  onnx::NodeProto& made = to_.add_node(op, inputs, {out}, attrs);
  made.set_name(i == 0 ? node_.name : fmt::format("{}.{}", node_.name, i));
  write_modules(made, node_);
  return {};
}

std::string Call::step(const std::string& op, const Names& inputs, const Attrs& attrs) const {
  const std::string out = to_.unique(fmt::format("{}.{}", node_.name, op));
  onnx::NodeProto& made = to_.add_node(op, inputs, {out}, attrs);
  made.set_name(out);
  write_modules(made, node_);
  return out;
}

Result<std::string> Call::reshape(const std::string& x, const Shape& shape) const {
  Attrs attrs;
  // A 0 keeps the operand's dim unless the attribute, which came with opset 14, says otherwise.
  if (std::ranges::find(shape, 0) != shape.end()) {
    QUOIN_CHECK(need(14, "reshaping an empty tensor"));
    attrs["allowzero"] = int64_t{1};
  }
  return step("Reshape", {x, integers("shape", shape)}, attrs);
}

std::string Call::constant(std::string_view suffix, Tensor tensor) const {
  return to_.constant(fmt::format("{}.{}", node_.name, suffix), std::move(tensor));
}

std::string Call::integers(std::string_view suffix, const std::vector<int64_t>& values) const {
  return constant(suffix, Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(values.size())}, values));
}

std::string Call::number(std::string_view suffix, DType dtype, double value) const {
  const auto made = [&] {
    switch (dtype) {
      case DType::f32:
        return scalar<float>(dtype, value);
      case DType::f64:
        return scalar<double>(dtype, value);
      case DType::s32:
        return scalar<int32_t>(dtype, value);
      case DType::s16:
        return scalar<int16_t>(dtype, value);
      case DType::u16:
        return scalar<uint16_t>(dtype, value);
      case DType::s8:
        return scalar<int8_t>(dtype, value);
      case DType::u8:
        return scalar<uint8_t>(dtype, value);
      case DType::boolean: {
        Tensor out(dtype, {});
        out.as<uint8_t>()[0] = value != 0;
        return out;
      }
      case DType::s64:
        return scalar<int64_t>(dtype, value);
      default:  // 16-bit floats
        return scalar<float>(DType::f32, value);
    }
  };
  Tensor tensor = made();
  const DType stored = tensor.dtype();
  return to_.cast(constant(suffix, std::move(tensor)), stored, dtype);
}

Status Call::need(int64_t opset, std::string_view what) const {
  if (target_.opset >= opset) return {};
  return fail(Code::unsupported, "{} needs opset {}, the model is written for {}", what, kNewOpset, target_.opset)
      .hint(fmt::format("export with --opset {}", kNewOpset));
}

}  // namespace quoin::exporter
