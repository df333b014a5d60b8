#include "program/view/types.hpp"

#include <cstring>

#include "ops/integer_range.hpp"
#include "ops/scale_layout.hpp"
#include "program/view/bad.hpp"

namespace quoin::program::view {
namespace {

bool same_bytes(const RawList& a, const RawList& b, size_t element) {
  return a.size == b.size && (a.size == 0 || std::memcmp(a.data, b.data, a.size * element) == 0);
}

bool check_ranges(const QParams& q, Fault& fault) {
  const IntegerRange range = integer_range(q.dtype);
  if (q.qmin >= q.qmax || q.qmin < range.low || q.qmax > range.high)
    return bad(fault, "integer range {}..{} of {}", q.qmin, q.qmax, name(q.dtype));
  for (uint64_t i = 0; i < q.zero_point.size; ++i) {
    // Differences from a zero point must fit int32, so wide types have none.
    const int32_t zero = q.zero_point[i];
    if (zero < range.low || zero > range.high || (bits(q.dtype) > 16 && zero != 0))
      return bad(fault, "zero point {}: {} is outside {}", i, zero, name(q.dtype));
  }
  return true;
}

}  // namespace

bool same_qparams(const QParams* a, const QParams* b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->dtype == b->dtype && a->scheme == b->scheme && a->axis == b->axis &&
         a->group == b->group && a->qmin == b->qmin && a->qmax == b->qmax && same_bytes(a->scale, b->scale, 4) &&
         same_bytes(a->zero_point, b->zero_point, 4) && same_bytes(a->block, b->block, 8);
}

bool same_shape(const Value& a, const Value& b) { return same_bytes(a.shape, b.shape, 8); }

bool same_type(const Value& a, const Value& b) {
  return a.dtype == b.dtype && same_shape(a, b) && same_qparams(a.qparams, b.qparams);
}

bool verify_qparams(const Value& value, Fault& fault) {
  if (value.qparams == nullptr) return true;
  const QParams& q = *value.qparams;
  if (q.dtype != value.dtype)
    return bad(fault, "stored as {}, but its qparams say {}", name(value.dtype), name(q.dtype));
  if (!is_integer(q.dtype) || bits(q.dtype) > 32) return bad(fault, "qparams on elements of type {}", name(q.dtype));
  if (!check_scales(q.abi, value.shape.span(), fault)) {
    fault.set_code(Code::program);
    return false;
  }
  if (!q.zero_point.empty() && q.zero_point.size != q.scale.size)
    return bad(fault, "{} zero points for {} scales", q.zero_point.size, q.scale.size);
  return check_ranges(q, fault);
}

}  // namespace quoin::program::view
