#include "ops/integer_range.hpp"
#include "ops/scale_layout.hpp"
#include "program/verify.hpp"

namespace quoin::program {
namespace {

Status check_ranges(const QParams& q) {
  const IntegerRange range = integer_range(q.dtype);
  if (q.qmin >= q.qmax || q.qmin < range.low || q.qmax > range.high)
    return fail(Code::program, "integer range {}..{} of {}", q.qmin, q.qmax, name(q.dtype));
  for (size_t i = 0; i < q.zero_point.size(); ++i) {
    // Differences from a zero point must fit int32, so wide types have none.
    const int64_t zero = q.zero_point[i];
    if (zero < range.low || zero > range.high || (bits(q.dtype) > 16 && zero != 0))
      return fail(Code::program, "zero point {}: {} is outside {}", i, zero, name(q.dtype));
  }
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
  if (auto layout = check_scales(q, type.shape); !layout) {
    layout.error().code = Code::program;
    return std::move(layout).failure();
  }
  return check_ranges(q);
}

}  // namespace quoin::program
