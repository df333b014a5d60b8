#include "ops/table/build.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "ops/integer_range.hpp"

namespace quoin::table {
Types one(DType dtype, const Shape& shape) { return std::vector<TensorType>{{dtype, shape, nullptr}}; }
Types one(DType dtype, std::initializer_list<int64_t> shape) { return one(dtype, Shape(shape)); }
Types two(DType first, const Shape& first_shape, DType second, const Shape& second_shape) {
  return std::vector<TensorType>{{first, first_shape, nullptr}, {second, second_shape, nullptr}};
}

Types same_as_first(Operands operands, const Attrs&) { return one(operands[0]->dtype, operands[0]->shape); }
Types float_as_first(Operands operands, const Attrs&) {
  const DType dtype = operands[0]->dtype;
  return one(is_floating(dtype) ? dtype : DType::f32, operands[0]->shape);
}

Result<DType> dtype_attr(const Attrs& attrs, std::string_view name) {
  const auto dtype = parse_dtype(get_text(attrs, name));
  if (!dtype)
    return fail(Code::model,
                "{} \"{}\" is not an element type (f32, f16, bf16, f64, s8, u8, s16, u16, s32, s64, bool, s4, u4, s2)",
                name, get_text(attrs, name));
  return *dtype;
}

Status expect_rank(const TensorType& type, size_t rank, std::string_view what) {
  if (type.shape.size() != rank)
    return fail(Code::model, "{} must have rank {}, found {}", what, rank, to_string(type.shape));
  return {};
}

Status expect_shape(const TensorType* type, const Shape& shape, std::string_view what) {
  if (type != nullptr && type->shape != shape)
    return fail(Code::model, "{} must have shape {}, found {}", what, to_string(shape), to_string(type->shape));
  return {};
}

Status expect_shape(const TensorType* type, std::initializer_list<int64_t> shape, std::string_view what) {
  return expect_shape(type, Shape(shape), what);
}

Status expect_integer(const TensorType& type, std::string_view what) {
  if (type.dtype != DType::s64 && type.dtype != DType::s32)
    return fail(Code::model, "{} must be s64 or s32, found {}", what, name(type.dtype));
  return {};
}

Status expect_real(const TensorType& type, std::string_view what) {
  if (type.dtype != DType::f32 && type.dtype != DType::f16 && type.dtype != DType::bf16)
    return fail(Code::model, "{} must be f32, f16 or bf16, found {}", what, name(type.dtype));
  return {};
}

Status expect_storage(DType dtype) {
  if (dtype == DType::s8 || dtype == DType::u8 || dtype == DType::s16 || dtype == DType::u16 || dtype == DType::s32)
    return {};
  return fail(Code::unsupported, "storage type {} (known: s8, u8, s16, u16, s32)", name(dtype));
}

Status expect_limits(const Attrs& attrs, DType storage) {
  const IntegerRange all = integer_range(storage);
  const int64_t low = has(attrs, "quant_min") ? get_int(attrs, "quant_min") : all.low;
  const int64_t high = has(attrs, "quant_max") ? get_int(attrs, "quant_max") : all.high;
  if (low >= high || low < all.low || high > all.high)
    return fail(Code::model, "range {}..{} does not fit {}", low, high, name(storage));
  return {};
}

Result<int64_t> window_count(const Window& w) {
  const auto reach = checked_mul(w.dilation, std::max<int64_t>(w.kernel - 1, 0));
  if (w.kernel < 1 || !reach)
    return fail(Code::model, "kernel size {} with dilation {} is not possible", w.kernel, w.dilation);
  const int64_t room = w.size + 2 * w.pad - *reach - 1;
  if (room < 0)
    return fail(Code::model, "window of {} (kernel {}, dilation {}) is larger than the padded input of {}", *reach + 1,
                w.kernel, w.dilation, w.size + 2 * w.pad);
  int64_t count = (room + (w.ceil ? w.stride - 1 : 0)) / w.stride + 1;
  if (w.ceil && (count - 1) * w.stride >= w.size + w.pad) --count;
  return count;
}

Status expect_range(const Attrs& attrs, std::string_view name, int64_t low) {
  for (const int64_t value : get_ints(attrs, name))
    if (value < low || value >= (int64_t{1} << 31))
      return fail(Code::model, "{} must be at least {} and below 2^31, found {}", name, low,
                  to_string(get_ints(attrs, name)));
  return {};
}

}  // namespace quoin::table
