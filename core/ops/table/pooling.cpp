// Pooling and resizing of images. Source of the shape formulas: torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d,
// Upsample.
#include <cmath>

#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Status expect_image(const TensorType& type) {
  if (type.shape.size() != 3 && type.shape.size() != 4)
    return fail(Code::model, "input must be [N, C, H, W] or [C, H, W], found {}", to_string(type.shape));
  return {};
}

Types infer_pool(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_image(*operands[0]));
  QUOIN_CHECK(expect_range(attrs, "kernel_size", 1));
  QUOIN_CHECK(expect_range(attrs, "stride", 1));
  QUOIN_CHECK(expect_range(attrs, "padding", 0));
  const bool dilated = has(attrs, "dilation");
  if (dilated) QUOIN_CHECK(expect_range(attrs, "dilation", 1));
  if (has(attrs, "divisor_override") && get_int(attrs, "divisor_override") == 0)
    return fail(Code::model, "divisor_override must not be 0");
  Shape out = operands[0]->shape;
  const size_t first = out.size() - 2;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t kernel = get_ints(attrs, "kernel_size")[i], pad = get_ints(attrs, "padding")[i];
    if (pad > kernel / 2)
      return fail(Code::model, "padding {} must be at most half of the kernel size {}", pad, kernel);
    QUOIN_TRY(out[first + i],
              window_count({out[first + i], kernel, get_ints(attrs, "stride")[i], pad,
                            dilated ? get_ints(attrs, "dilation")[i] : 1, get_bool(attrs, "ceil_mode")}));
  }
  return one(operands[0]->dtype, out);
}

Types infer_adaptive(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_image(*operands[0]));
  QUOIN_CHECK(expect_range(attrs, "output_size", 1));
  Shape out = operands[0]->shape;
  for (size_t i = 0; i < 2; ++i) {
    int64_t& dim = out[out.size() - 2 + i];
    if (dim < 1) return fail(Code::model, "input {} is empty", to_string(operands[0]->shape));
    dim = get_ints(attrs, "output_size")[i];
  }
  return one(operands[0]->dtype, out);
}

Types infer_upsample(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(expect_rank(*operands[0], 4, "input"));
  Shape out = operands[0]->shape;
  const bool sized = has(attrs, "output_size") && !get_ints(attrs, "output_size").empty();
  const bool scaled = has(attrs, "scale_factors") && !get_numbers(attrs, "scale_factors").empty();
  if (sized == scaled) return fail(Code::model, "exactly one of output_size and scale_factors is needed");
  if ((sized ? get_ints(attrs, "output_size").size() : get_numbers(attrs, "scale_factors").size()) != 2)
    return fail(Code::model, "output_size and scale_factors have two elements: height, width");
  for (size_t i = 0; i < 2; ++i) {
    int64_t& dim = out[2 + i];
    if (dim < 1) return fail(Code::model, "input {} is empty", to_string(operands[0]->shape));
    const double size = sized ? static_cast<double>(get_ints(attrs, "output_size")[i])
                              : std::floor(static_cast<double>(dim) * get_numbers(attrs, "scale_factors")[i]);
    if (!(size >= 1 && size < 2147483648.0)) return fail(Code::model, "output size {} is out of range", size);
    dim = static_cast<int64_t>(size);
  }
  return one(operands[0]->dtype, out);
}

constexpr Row kRows[] = {
    {"aten.max_pool2d.default",
     "self; kernel_size: int[2], stride: int[2] = kernel_size, padding: int[2] = 0, dilation: int[2] = 1, "
     "ceil_mode: bool = false",
     infer_pool, kMoves},
    {"aten.avg_pool2d.default",
     "self; kernel_size: int[2], stride: int[2] = kernel_size, padding: int[2] = 0, ceil_mode: bool = false, "
     "count_include_pad: bool = true, divisor_override: int?",
     infer_pool},
    {"aten.adaptive_avg_pool2d.default", "self; output_size: int[2]", infer_adaptive},
    {"aten.upsample_nearest2d.vec", "input; output_size: int[]?, scale_factors: float[]?", infer_upsample, kMoves},
    {"aten.upsample_bilinear2d.vec", "input; output_size: int[]?, align_corners: bool = false, scale_factors: float[]?",
     infer_upsample},
};

}  // namespace

Rows pooling() { return kRows; }

}  // namespace quoin::table
