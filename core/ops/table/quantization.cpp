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
Types chosen(const Shape& shape, DType scale, DType zero_point) {
  return std::vector<TensorType>{{scale, shape, nullptr}, {zero_point, shape, nullptr}};
}
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

std::vector<AttrSpec> range_attrs(std::vector<AttrSpec> before, std::vector<AttrSpec> after = {}) {
  before.push_back(integer("quant_min"));
  before.push_back(integer("quant_max"));
  for (AttrSpec& spec : after) before.push_back(std::move(spec));
  before.push_back(text("dtype"));
  return before;
}
std::vector<AttrSpec> with(std::vector<AttrSpec> attrs, AttrSpec more) {
  attrs.push_back(std::move(more));
  return attrs;
}

Rows per_tensor() {
  const auto attrs = range_attrs({number("scale"), integer("zero_point")});
  const auto quantize = [](Operands o, const Attrs& a) -> Types {
    QUOIN_CHECK(expect_scalars(o));
    return quantized(o, a);
  };
  const auto dequantize = [](Operands o, const Attrs& a) -> Types {
    QUOIN_CHECK(expect_scalars(o));
    return dequantized(o, a);
  };
  const Slots slots{in("input"), in("scale"), in("zero_point")};
  const Slots all_slots{in("input"), in("scale"), in("zero_point"), in("quant_min"), in("quant_max")};
  return {
      op("quantized_decomposed.quantize_per_tensor.default", {in("input")}, attrs, quantize, kElementwise),
      op("quantized_decomposed.quantize_per_tensor.tensor", slots, range_attrs({}), quantize),
      op("quantized_decomposed.dequantize_per_tensor.default", {in("input")}, with(attrs, maybe(text("out_dtype"))),
         dequantize, kElementwise),
      op("quantized_decomposed.dequantize_per_tensor.tensor", slots, with(range_attrs({}), maybe(text("out_dtype"))),
         dequantize),
      op("quantized_decomposed.quantize_per_tensor.tensor2", all_slots, {text("dtype")}, quantize),
      op("quantized_decomposed.dequantize_per_tensor.tensor2", all_slots, {text("dtype"), maybe(text("out_dtype"))},
         dequantize),
      results(2, op("quantized_decomposed.choose_qparams.tensor", {in("input")}, with(range_attrs({}), number("eps")),
                    infer_choose_tensor)),
      results(2, op("quantized_decomposed.choose_qparams_symmetric.tensor", {in("input")},
                    with(range_attrs({}), number("eps")), infer_choose_tensor)),
  };
}

Rows per_axis() {
  const auto channel_attrs = range_attrs({integer("axis")});
  return {
      op("quantized_decomposed.quantize_per_channel.default", {in("input"), in("scales"), in("zero_points")},
         channel_attrs,
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_channels(o, a));
           return quantized(o, a);
         }),
      op("quantized_decomposed.dequantize_per_channel.default", {in("input"), in("scales"), opt("zero_points")},
         with(channel_attrs, maybe(text("out_dtype"))),
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_channels(o, a));
           return dequantized(o, a);
         }),
      op("quantized_decomposed.fake_quant_per_channel.default", {in("input"), in("scales"), in("zero_points")},
         {integer("axis"), integer("quant_min"), integer("quant_max")},
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_channels(o, a));
           if (o[0]->dtype != DType::f32) return fail(Code::model, "input must be f32, found {}", name(o[0]->dtype));
           QUOIN_CHECK(expect_limits(a, DType::s32));
           return same_as_first(o, a);
         }),
      op("quantized_decomposed.quantize_per_channel_group.default", {in("input"), in("scales"), in("zero_points")},
         with(range_attrs({}), integer("group_size", 128)),
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_groups(o, a));
           return quantized(o, a);
         }),
      op("quantized_decomposed.dequantize_per_channel_group.default", {in("input"), in("scales"), opt("zero_points")},
         with(with(range_attrs({}), integer("group_size", 128)), maybe(text("output_dtype"))),
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_groups(o, a));
           return dequantized(o, a, "output_dtype");
         }),
  };
}

Rows per_token() {
  const auto asymmetric = [](Operands o, const Attrs& a) { return infer_choose_token(o, a, DType::f64, DType::s64); };
  return {
      results(2, op("quantized_decomposed.choose_qparams_per_token_asymmetric.default", {in("input")}, {text("dtype")},
                    asymmetric)),
      results(2, op("quantized_decomposed._choose_qparams_per_token_asymmetric_impl.default", {in("input")},
                    {text("dtype")}, asymmetric)),
      results(2, op("quantized_decomposed.choose_qparams_per_token.default", {in("input")}, {text("dtype")},
                    [](Operands o, const Attrs& a) {
                      const DType scale = o[0]->dtype == DType::bf16 ? DType::bf16 : DType::f32;
                      return infer_choose_token(o, a, scale, scale);
                    })),
      op("quantized_decomposed.quantize_per_token.default", {in("input"), in("scales"), in("zero_points")},
         range_attrs({}),
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_tokens(o));
           return quantized(o, a);
         }),
      op("quantized_decomposed.dequantize_per_token.default", {in("input"), in("scales"), in("zero_points")},
         with(range_attrs({}), maybe(text("output_dtype"))),
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_CHECK(expect_tokens(o));
           return dequantized(o, a, "output_dtype");
         }),
  };
}

Rows typed() {
  return {
      // A change of element type that must not be fused away.
      op("quantized_decomposed.convert_element_type.no_fuse", {in("input")}, {text("dtype")},
         [](Operands o, const Attrs& a) -> Types {
           QUOIN_TRY(const DType dtype, dtype_attr(a, "dtype"));
           return one(dtype, o[0]->shape);
         }),
      op("quoin.quantize.default", {in("input")}, {}, same_as_first, kElementwise),
      op("quoin.dequantize.default", {in("input")}, {}, same_as_first, kElementwise),
      op("quoin.requantize.default", {in("input")}, {}, same_as_first, kElementwise),
      op("quoin.linear_dynamic.default", {in("input"), in("weight"), opt("bias")},
         {text("granularity", "per_token"), integer("qmin", -128), integer("qmax", 127),
          number("eps", static_cast<double>(numerics::kDefaultEps)), text("scheme", "affine")},
         infer_linear_dynamic),
  };
}

}  // namespace

Rows quantization() {
  Rows rows = per_tensor();
  for (Rows& more : std::vector<Rows>{per_axis(), per_token(), typed()})
    for (OpSchema& row : more) rows.push_back(std::move(row));
  return rows;
}

}  // namespace quoin::table
