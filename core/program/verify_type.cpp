#include <cmath>
#include <limits>

#include "program/verify.hpp"

namespace quoin::program {
namespace {

struct Range {
  int64_t low, high;
};

Range storage_range(DType dtype) {
  const int64_t steps = int64_t{1} << bits(dtype);
  const bool is_unsigned = dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u4;
  return is_unsigned ? Range{0, steps - 1} : Range{-steps / 2, steps / 2 - 1};
}

// How many scales the scheme needs for this shape. Precondition: the shape was checked.
Result<uint64_t> scale_count(const QParams& q, const Shape& shape) {
  const int64_t row = shape.empty() ? 1 : shape.back();
  const int64_t rows = row == 0 ? 0 : numel(shape) / row;
  switch (q.scheme) {
    case Scheme::per_tensor:
      return 1;
    case Scheme::per_channel:
      if (q.axis < 0 || static_cast<size_t>(q.axis) >= shape.size())
        return fail(Code::program, "channel axis {} of a rank {} tensor", q.axis, shape.size());
      return static_cast<uint64_t>(shape[static_cast<size_t>(q.axis)]);
    case Scheme::per_group:
      if (q.group == 0 || shape.empty())
        return fail(Code::program, "group size {} of a rank {} tensor", q.group, shape.size());
      return static_cast<uint64_t>(rows * ((row + q.group - 1) / q.group));
    case Scheme::per_block: {
      if (q.block.size() != shape.size())
        return fail(Code::program, "blocks of rank {} of a rank {} tensor", q.block.size(), shape.size());
      uint64_t count = 1;
      for (size_t i = 0; i < shape.size(); ++i) {
        if (q.block[i] < 1 || shape[i] % q.block[i] != 0)
          return fail(Code::program, "blocks of {} do not divide dimension {} of {}", q.block[i], i, to_string(shape));
        count *= static_cast<uint64_t>(shape[i] / q.block[i]);
      }
      return count;
    }
    case Scheme::per_token:  // chosen at run time, unless given
      return q.scale.empty() ? 0 : static_cast<uint64_t>(rows);
  }
  return fail(Code::program, "unknown scheme");
}

Status check_ranges(const QParams& q) {
  const Range range = storage_range(q.dtype);
  if (q.qmin >= q.qmax || q.qmin < range.low || q.qmax > range.high)
    return fail(Code::program, "integer range {}..{} of {}", q.qmin, q.qmax, name(q.dtype));
  for (size_t i = 0; i < q.zero_point.size(); ++i) {
    // Differences from a zero point must fit int32, so wide types have none.
    const int64_t zero = q.zero_point[i];
    if (zero < range.low || zero > range.high || (bits(q.dtype) > 16 && zero != 0))
      return fail(Code::program, "zero point {}: {} is outside {}", i, zero, name(q.dtype));
  }
  for (size_t i = 0; i < q.scale.size(); ++i)
    if (!std::isfinite(q.scale[i]) || q.scale[i] <= 0)
      return fail(Code::program, "scale {}: {} is not a positive finite number", i, q.scale[i]);
  return {};
}

}  // namespace

Status verify_type(const TensorType& type) {
  QUOIN_CHECK(checked_numel(type.shape));
  if (!type.qparams) return {};
  const QParams& q = *type.qparams;
  if (q.dtype != type.dtype)
    return fail(Code::program, "stored as {}, but its qparams say {}", name(type.dtype), name(q.dtype));
  if (!is_integer(q.dtype) || bits(q.dtype) > 32)
    return fail(Code::program, "qparams on elements of type {}", name(q.dtype));
  QUOIN_TRY(const uint64_t expected, scale_count(q, type.shape));
  if (q.scale.size() != expected) return fail(Code::program, "{} scales where {} are needed", q.scale.size(), expected);
  if (!q.zero_point.empty() && q.zero_point.size() != q.scale.size())
    return fail(Code::program, "{} zero points for {} scales", q.zero_point.size(), q.scale.size());
  return check_ranges(q);
}

}  // namespace quoin::program
