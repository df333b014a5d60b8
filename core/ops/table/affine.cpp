// torchao.*: quantization in blocks of any shape. `block_size` gives the elements per block along every axis, so that
// one set of operators covers every granularity.
//
// zero_point_domain: INT (zero points are integers), FLOAT (real numbers: the value of the middle of the range), NONE.
#include "ops/scale_layout.hpp"
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Result<ScaleLayout> layout(const TensorType& type, const Attrs& attrs) {
  return ScaleLayout::of_blocks(type.shape, get_ints(attrs, "block_size"));
}

Status expect_choice(const Attrs& attrs, std::string_view name, std::initializer_list<std::string_view> choices) {
  std::string list;
  for (const std::string_view choice : choices) {
    if (get_text(attrs, name) == choice) return {};
    list += (list.empty() ? "" : ", ") + std::string(choice);
  }
  return fail(Code::model, "{} must be one of {}, found {}", name, list, get_text(attrs, name));
}

// Scales and zero points: any shape with one element per block.
Status expect_qparams(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_choice(attrs, "zero_point_domain", {"INT", "FLOAT", "NONE"}));
  QUOIN_TRY(const ScaleLayout blocks, layout(*operands[0], attrs));
  QUOIN_CHECK(expect_real(*operands[1], "scale"));
  for (size_t i = 1; i < operands.size(); ++i) {
    if (operands[i] == nullptr || (i == 2 && numel(operands[i]->shape) == 0)) continue;  // empty: no zero point
    if (numel(operands[i]->shape) != blocks.count())
      return fail(Code::model, "{} must have one element for each of {} blocks, found {}",
                  i == 1 ? "scale" : "zero_point", blocks.count(), to_string(operands[i]->shape));
  }
  if (get_text(attrs, "zero_point_domain") == "FLOAT" && (operands[2] == nullptr || !is_floating(operands[2]->dtype)))
    return fail(Code::model, "zero_point_domain FLOAT needs zero points of a floating type");
  return {};
}

Types infer_quantize(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_real(*operands[0], "input"));
  QUOIN_CHECK(expect_qparams(operands, attrs));
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "output_dtype"));
  QUOIN_CHECK(expect_storage(dtype));
  QUOIN_CHECK(expect_limits(attrs, dtype));
  return one(dtype, operands[0]->shape);
}

Types infer_dequantize(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_qparams(operands, attrs));
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "input_dtype"));
  QUOIN_CHECK(expect_storage(dtype));
  QUOIN_CHECK(expect_limits(attrs, dtype));
  if (operands[0]->dtype != dtype)
    return fail(Code::model, "input is {}, but input_dtype says {}", name(operands[0]->dtype), name(dtype));
  QUOIN_TRY(const DType out, dtype_attr(attrs, "output_dtype"));
  QUOIN_CHECK(expect_real({out, {}, nullptr}, "output_dtype"));
  return one(out, operands[0]->shape);
}

// One element per block; without keepdim, axes that a block spans are dropped (an axis of size 1 stays).
Shape chosen_shape(const Shape& shape, const Attrs& attrs) {
  Shape out;
  const auto& block = get_ints(attrs, "block_size");
  for (size_t d = 0; d < shape.size(); ++d)
    if (get_bool(attrs, "keepdim") || block[d] != shape[d] || shape[d] == 1) out.push_back(shape[d] / block[d]);
  return out;
}

Types infer_choose(Operands operands, const Attrs& attrs) {
  const TensorType& x = *operands[0];
  QUOIN_CHECK(expect_real(x, "input"));
  QUOIN_CHECK(layout(x, attrs));
  if (numel(x.shape) == 0) return fail(Code::model, "input {} is empty", to_string(x.shape));
  QUOIN_CHECK(expect_choice(attrs, "mapping_type", {"SYMMETRIC", "SYMMETRIC_NO_CLIPPING_ERR", "ASYMMETRIC"}));
  QUOIN_CHECK(expect_choice(attrs, "zero_point_domain", {"INT", "FLOAT"}));
  const bool affine = get_text(attrs, "mapping_type") == "ASYMMETRIC";
  const bool real_zero = get_text(attrs, "zero_point_domain") == "FLOAT", keeps = get_bool(attrs, "preserve_zero");
  if ((!keeps || real_zero) && !affine)
    return fail(Code::model, "mapping {} preserves zero and has integer zero points", get_text(attrs, "mapping_type"));
  if (real_zero && keeps) return fail(Code::model, "zero points in the FLOAT domain do not preserve zero");
  QUOIN_TRY(const DType storage, dtype_attr(attrs, "target_dtype"));
  QUOIN_CHECK(expect_storage(storage));
  QUOIN_CHECK(expect_limits(attrs, storage));
  DType scale = x.dtype, zero_point = affine && !real_zero ? DType::s32 : x.dtype;
  if (has(attrs, "scale_dtype")) {
    QUOIN_TRY(scale, dtype_attr(attrs, "scale_dtype"));
  }
  if (has(attrs, "zero_point_dtype")) {
    QUOIN_TRY(zero_point, dtype_attr(attrs, "zero_point_dtype"));
  }
  if (!is_floating(scale)) return fail(Code::model, "scale_dtype {} is not a floating type", name(scale));
  const Shape shape = chosen_shape(x.shape, attrs);
  return two(scale, shape, zero_point, shape);
}

constexpr Row kRows[] = {
    {"torchao.choose_qparams_affine.default",
     "input; mapping_type: str, block_size: int[], target_dtype: str, quant_min: int?, quant_max: int?, eps: float?, "
     "scale_dtype: str?, zero_point_dtype: str?, keepdim: bool = false, preserve_zero: bool = true, "
     "zero_point_domain: str = INT -> scale, zero_point",
     infer_choose},
    {"torchao.quantize_affine.default",
     "input, scale, zero_point?; block_size: int[], output_dtype: str, quant_min: int?, quant_max: int?, "
     "zero_point_domain: str = INT",
     infer_quantize},
    {"torchao.dequantize_affine.default",
     "input, scale, zero_point?; block_size: int[], input_dtype: str, quant_min: int?, quant_max: int?, "
     "output_dtype: str = f32, zero_point_domain: str = INT",
     infer_dequantize},
};

}  // namespace

Rows affine() { return kRows; }

}  // namespace quoin::table
