// Tensors made from attributes alone.
#include <cmath>

#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

bool integral(double value) { return std::nearbyint(value) == value; }

// ceil((end - start) / step) elements: start, start + step, ...
Types infer_arange(Operands, const Attrs& attrs) {
  const double start = get_number(attrs, "start"), end = get_number(attrs, "end"), step = get_number(attrs, "step");
  const double count = std::ceil((end - start) / step);
  if (!(std::isfinite(start) && std::isfinite(step)) || step == 0 || !(count >= 0 && count <= 2147483648.0))
    return fail(Code::model, "range from {} to {} by {} is not possible", start, end, step);
  DType dtype = integral(start) && integral(end) && integral(step) ? DType::s64 : DType::f32;
  if (has(attrs, "dtype")) {
    QUOIN_TRY(dtype, dtype_attr(attrs, "dtype"));
  }
  return one(dtype, {static_cast<int64_t>(count)});
}

Types infer_full(Operands, const Attrs& attrs) {
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  return one(dtype, get_ints(attrs, "size"));
}

constexpr Row kRows[] = {
    {"aten.arange.start_step", "; start: float = 0, end: float, step: float = 1, dtype: str?", infer_arange},
    {"aten.full.default", "; size: int[], fill_value: float, dtype: str = f32", infer_full},
};

}  // namespace

Rows creation() { return kRows; }

}  // namespace quoin::table
