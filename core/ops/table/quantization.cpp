// Q/DQ operators of PT2E graphs and what the typed form adds.
//
// quantized_decomposed.*: qparams are attributes or tensors; results are plain integers or f32 without qparams.
// quoin.*: qparams are those of the values themselves, so inference sees real numbers on both sides.
#include <quoin/numerics.hpp>

#include <cmath>

#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

// Storage type of the attributes, with a range that fits it.
Result<DType> storage(const Attrs& attrs) {
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  QUOIN_CHECK(expect_storage(dtype));
  QUOIN_CHECK(expect_limits(attrs, dtype));
  return dtype;
}

Types quantized(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_real(*operands[0], "input"));
  QUOIN_TRY(const DType dtype, storage(attrs));
  return one(dtype, operands[0]->shape);
}

Types dequantized(Operands operands, const Attrs& attrs, const char* out_key = "out_dtype") {
  QUOIN_TRY(const DType dtype, storage(attrs));
  if (operands[0]->dtype != dtype)
    return fail(Code::model, "input is {}, but dtype says {}", name(operands[0]->dtype), name(dtype));
  if (!has(attrs, out_key)) return one(DType::f32, operands[0]->shape);
  QUOIN_TRY(const DType out, dtype_attr(attrs, out_key));
  QUOIN_CHECK(expect_real({out, {}, nullptr}, out_key));
  return one(out, operands[0]->shape);
}

Status expect_scalars(Operands operands) {
  for (size_t i = 1; i < operands.size(); ++i)
    if (operands[i] != nullptr && numel(operands[i]->shape) != 1)
      return fail(Code::model, "scale, zero_point and limits must have one element, found {}",
                  to_string(operands[i]->shape));
  return {};
}

Status expect_channels(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  QUOIN_TRY(const int64_t axis, wrap_dim(get_int(attrs, "axis"), x.size()));
  if (x.empty()) return fail(Code::model, "a scalar has no channels");
  for (size_t i = 1; i < operands.size(); ++i)
    QUOIN_CHECK(expect_shape(operands[i], {x[static_cast<size_t>(axis)]}, i == 1 ? "scales" : "zero_points"));
  return {};
}

Result<Shape> token_shape(const Shape& x) {
  if (x.empty()) return fail(Code::model, "a scalar has no tokens");
  Shape out = x;
  out.back() = 1;
  return out;
}

Status expect_tokens(Operands operands) {
  QUOIN_TRY(const Shape tokens, token_shape(operands[0]->shape));
  for (size_t i = 1; i < operands.size(); ++i)
    if (numel(operands[i]->shape) != numel(tokens))
      return fail(Code::model, "scales and zero_points must have shape {}, found {}", to_string(tokens),
                  to_string(operands[i]->shape));
  return {};
}

Status expect_groups(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_rank(*operands[0], 2, "input"));
  const Shape& x = operands[0]->shape;
  const int64_t group = get_int(attrs, "group_size");
  if (group < 1 || x[1] % group != 0) return fail(Code::model, "group_size {} does not divide {}", group, x[1]);
  for (size_t i = 1; i < operands.size(); ++i)
    QUOIN_CHECK(expect_shape(operands[i], {x[0], x[1] / group}, i == 1 ? "scales" : "zero_points"));
  return {};
}

// (scale, zero point) chosen from the data.
Types chosen(const Shape& shape, DType scale, DType zero_point) { return two(scale, shape, zero_point, shape); }
Types infer_choose_tensor(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(storage(attrs));
  QUOIN_CHECK(expect_real(*operands[0], "input"));
  if (numel(operands[0]->shape) == 0) return fail(Code::model, "input {} is empty", to_string(operands[0]->shape));
  return chosen({1}, DType::f64, DType::s64);
}
Types infer_choose_token(Operands operands, const Attrs& attrs, DType scale, DType zero_point) {
  QUOIN_CHECK(expect_real(*operands[0], "input"));
  if (!operands[0]->shape.empty() && operands[0]->shape.back() == 0)
    return fail(Code::model, "the tokens of {} are empty", to_string(operands[0]->shape));
  QUOIN_TRY(const DType dtype, storage(attrs));
  if (dtype != DType::s8) return fail(Code::unsupported, "tokens quantize to s8, found {}", name(dtype));
  QUOIN_TRY(const Shape tokens, token_shape(operands[0]->shape));
  return chosen(tokens, scale, zero_point);
}

Types infer_linear_dynamic(Operands operands, const Attrs& attrs) {
  const std::string& granularity = get_text(attrs, "granularity");
  if (granularity != "per_token" && granularity != "per_tensor")
    return fail(Code::model, "granularity must be per_token or per_tensor, found {}", granularity);
  const int64_t qmin = get_int(attrs, "qmin"), qmax = get_int(attrs, "qmax");
  if (qmin < -128 || qmax > 127 || qmin >= qmax) return fail(Code::model, "range {}..{} does not fit s8", qmin, qmax);
  const auto eps = static_cast<float>(get_number(attrs, "eps"));
  if (!(eps > 0) || !std::isfinite(eps)) return fail(Code::model, "eps {} is not positive", get_number(attrs, "eps"));
  const std::string& scheme = get_text(attrs, "scheme");
  const auto known = numerics::dynamic_scheme(scheme);
  if (!known) return fail(Code::model, "scheme must be affine, symmetric, token or token_symmetric, found {}", scheme);
  const bool token = *known == numerics::Dynamic::token || *known == numerics::Dynamic::token_symmetric;
  if (token && (granularity != "per_token" || qmin != -128 || qmax != 127))
    return fail(Code::model, "scheme {} is per token in -128..127, found {} in {}..{}", scheme, granularity, qmin,
                qmax);
  return find_op("aten.linear.default")->infer(operands, attrs);
}

// The check of the operands comes first, then that of the attributes.
Types infer_quantize_tensor(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_scalars(operands));
  return quantized(operands, attrs);
}
Types infer_dequantize_tensor(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_scalars(operands));
  return dequantized(operands, attrs);
}
Types infer_quantize_channel(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_channels(operands, attrs));
  return quantized(operands, attrs);
}
Types infer_dequantize_channel(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_channels(operands, attrs));
  return dequantized(operands, attrs);
}
Types infer_fake_quant_channel(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_channels(operands, attrs));
  if (operands[0]->dtype != DType::f32)
    return fail(Code::model, "input must be f32, found {}", name(operands[0]->dtype));
  QUOIN_CHECK(expect_limits(attrs, DType::s32));
  return same_as_first(operands, attrs);
}
Types infer_quantize_group(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_groups(operands, attrs));
  return quantized(operands, attrs);
}
Types infer_dequantize_group(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_groups(operands, attrs));
  return dequantized(operands, attrs, "output_dtype");
}
Types infer_choose_token_asymmetric(Operands operands, const Attrs& attrs) {
  return infer_choose_token(operands, attrs, DType::f64, DType::s64);
}
Types infer_choose_token_symmetric(Operands operands, const Attrs& attrs) {
  const DType dtype = operands[0]->dtype == DType::bf16 ? DType::bf16 : DType::f32;
  return infer_choose_token(operands, attrs, dtype, dtype);
}
Types infer_quantize_token(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_tokens(operands));
  return quantized(operands, attrs);
}
Types infer_dequantize_token(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_tokens(operands));
  return dequantized(operands, attrs, "output_dtype");
}
Types infer_convert(Operands operands, const Attrs& attrs) {
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  return one(dtype, operands[0]->shape);
}

constexpr Row kRows[] = {
    {"quantized_decomposed.quantize_per_tensor.default",
     "input; scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: str", infer_quantize_tensor,
     kElementwise},
    {"quantized_decomposed.quantize_per_tensor.tensor",
     "input, scale, zero_point; quant_min: int, quant_max: int, dtype: str", infer_quantize_tensor},
    {"quantized_decomposed.quantize_per_tensor.tensor2", "input, scale, zero_point, quant_min, quant_max; dtype: str",
     infer_quantize_tensor},
    {"quantized_decomposed.dequantize_per_tensor.default",
     "input; scale: float, zero_point: int, quant_min: int, quant_max: int, dtype: str, out_dtype: str?",
     infer_dequantize_tensor, kElementwise},
    {"quantized_decomposed.dequantize_per_tensor.tensor",
     "input, scale, zero_point; quant_min: int, quant_max: int, dtype: str, out_dtype: str?", infer_dequantize_tensor},
    {"quantized_decomposed.dequantize_per_tensor.tensor2",
     "input, scale, zero_point, quant_min, quant_max; dtype: str, out_dtype: str?", infer_dequantize_tensor},
    {"quantized_decomposed.choose_qparams.tensor",
     "input; quant_min: int, quant_max: int, dtype: str, eps: float -> scale, zero_point", infer_choose_tensor},
    {"quantized_decomposed.choose_qparams_symmetric.tensor",
     "input; quant_min: int, quant_max: int, dtype: str, eps: float -> scale, zero_point", infer_choose_tensor},

    {"quantized_decomposed.quantize_per_channel.default",
     "input, scales, zero_points; axis: int, quant_min: int, quant_max: int, dtype: str", infer_quantize_channel},
    {"quantized_decomposed.dequantize_per_channel.default",
     "input, scales, zero_points?; axis: int, quant_min: int, quant_max: int, dtype: str, out_dtype: str?",
     infer_dequantize_channel},
    {"quantized_decomposed.fake_quant_per_channel.default",
     "input, scales, zero_points; axis: int, quant_min: int, quant_max: int", infer_fake_quant_channel},
    {"quantized_decomposed.quantize_per_channel_group.default",
     "input, scales, zero_points; quant_min: int, quant_max: int, dtype: str, group_size: int = 128",
     infer_quantize_group},
    {"quantized_decomposed.dequantize_per_channel_group.default",
     "input, scales, zero_points?; "
     "quant_min: int, quant_max: int, dtype: str, group_size: int = 128, output_dtype: str?",
     infer_dequantize_group},

    {"quantized_decomposed.choose_qparams_per_token_asymmetric.default", "input; dtype: str -> scale, zero_point",
     infer_choose_token_asymmetric},
    {"quantized_decomposed._choose_qparams_per_token_asymmetric_impl.default", "input; dtype: str -> scale, zero_point",
     infer_choose_token_asymmetric},
    {"quantized_decomposed.choose_qparams_per_token.default", "input; dtype: str -> scale, zero_point",
     infer_choose_token_symmetric},
    {"quantized_decomposed.quantize_per_token.default",
     "input, scales, zero_points; quant_min: int, quant_max: int, dtype: str", infer_quantize_token},
    {"quantized_decomposed.dequantize_per_token.default",
     "input, scales, zero_points; quant_min: int, quant_max: int, dtype: str, output_dtype: str?",
     infer_dequantize_token},

    // A change of element type that must not be fused away.
    {"quantized_decomposed.convert_element_type.no_fuse", "input; dtype: str", infer_convert},
    {"quoin.quantize.default", "input", same_as_first, kElementwise},
    {"quoin.dequantize.default", "input", same_as_first, kElementwise},
    {"quoin.requantize.default", "input", same_as_first, kElementwise},
    // eps: numerics::kDefaultEps.
    {"quoin.linear_dynamic.default",
     "input, weight, bias?; granularity: str = per_token, qmin: int = -128, qmax: int = 127, "
     "eps: float = 1.1920928955078125e-7, scheme: str = affine",
     infer_linear_dynamic},
};

}  // namespace

Rows quantization() { return kRows; }

}  // namespace quoin::table
