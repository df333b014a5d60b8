// QuantizeLinear and DequantizeLinear -> quantized_decomposed.*, the form that quantization itself makes.
#include <algorithm>
#include <cmath>

#include "import/onnx_ops.hpp"

namespace quoin::import::onnx_format {
namespace {

struct Range {
  int64_t min = 0, max = 0;
};

Result<Range> storage_range(DType dtype) {
  switch (dtype) {
    case DType::s8:
      return Range{-128, 127};
    case DType::u8:
      return Range{0, 255};
    case DType::s16:
      return Range{-32768, 32767};
    case DType::u16:
      return Range{0, 65535};
    case DType::s32:
      return Range{-2147483648LL, 2147483647LL};
    default:
      return fail(Code::unsupported, "storage type {} (known: s8, u8, s16, u16, s32)", name(dtype));
  }
}

Range four_bit_range(DType storage) { return storage == DType::u8 ? Range{0, 15} : Range{-8, 7}; }

struct Scales {
  std::vector<double> scale;
  std::vector<int64_t> zero_point;  // as many
};

Result<Scales> read_scales(const Call& call, DType storage) {
  Scales out;
  QUOIN_TRY(out.scale, call.known_numbers(1));
  out.zero_point.assign(out.scale.size(), 0);
  if (call.optional(2) != kNone) {
    QUOIN_TRY(out.zero_point, call.known_ints(2));
    if (call.builder.dtype(call.optional(2)) != storage)
      return fail(Code::model, "zero point is {}, expected {}", name(call.builder.dtype(call.optional(2))),
                  name(storage));
    if (out.zero_point.size() != out.scale.size())
      return fail(Code::model, "{} scales but {} zero points", out.scale.size(), out.zero_point.size());
  }
  for (const double value : out.scale)
    if (!std::isfinite(value) || value <= 0) return fail(Code::model, "scale {} must be positive and finite", value);
  return out;
}

// Blocks along the last axis of a matrix are groups.
Status check_blocks(const Call& call, ValueId x, int64_t block) {
  const Builder& b = call.builder;
  QUOIN_TRY(int64_t axis, call.integer("axis", 1));
  QUOIN_TRY(axis, b.wrap(axis, b.rank(x)));
  const Shape& shape = b.shape(x);
  if (shape.size() != 2 || axis != 1 || block < 1 || shape[1] % block != 0)
    return fail(Code::unsupported, "blocks of {} along axis {} of {} are not supported", block, axis, to_string(shape))
        .hint("blocks that divide the last axis of a matrix are");
  if (const Shape& scales = b.shape(call.optional(1)); scales != Shape{shape[0], shape[1] / block})
    return fail(Code::model, "scales {} for blocks of {} in {}", to_string(scales), block, to_string(shape));
  return {};
}

Result<Values> emit(const Call& call, bool quantize, DType storage) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const int64_t block, call.integer("block_size", 0));
  QUOIN_TRY(const Range range,
            call.four_bit(quantize ? 2 : 0) ? Result<Range>(four_bit_range(storage)) : storage_range(storage));
  QUOIN_TRY(const Scales scales, read_scales(call, storage));
  Attrs attrs{{"quant_min", range.min}, {"quant_max", range.max}, {"dtype", std::string(name(storage))}};
  const std::string base = quantize ? "quantized_decomposed.quantize_per_" : "quantized_decomposed.dequantize_per_";
  const size_t count = scales.scale.size();
  // A list of one scale holds for the whole tensor whatever the axis; exporters leave the default axis with it.
  if (count == 1 && block == 0) {
    attrs["scale"] = scales.scale[0];
    attrs["zero_point"] = scales.zero_point[0];
    return b.result(base + "tensor.default", {x}, std::move(attrs));
  }
  const ValueId zero_points = b.constant("zero_points", integer_tensor(b.shape(call.optional(1)), scales.zero_point));
  if (block != 0) {
    QUOIN_CHECK(check_blocks(call, x, block));
    attrs["group_size"] = block;
    return b.result(base + "channel_group.default", {x, call.optional(1), zero_points}, std::move(attrs));
  }
  QUOIN_TRY(int64_t axis, call.integer("axis", 1));
  QUOIN_TRY(axis, b.wrap(axis, b.rank(x)));
  attrs["axis"] = axis;
  return b.result(base + "channel.default", {x, call.optional(1), zero_points}, std::move(attrs));
}

}  // namespace

Result<Values> quantize_linear(const Call& call) {
  DType storage = DType::u8;
  if (call.optional(2) != kNone) {
    storage = call.builder.dtype(call.optional(2));
  } else if (call.has_attr("output_dtype")) {
    QUOIN_TRY(const int64_t code, call.integer("output_dtype"));
    if (code != 0) {
      QUOIN_TRY(storage, element_type(static_cast<int32_t>(std::clamp<int64_t>(code, 0, 1000))));
    }
  }
  return emit(call, true, storage);
}

Result<Values> dequantize_linear(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  return emit(call, false, call.builder.dtype(x));
}

}  // namespace quoin::import::onnx_format
