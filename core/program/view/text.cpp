#include "program/view/text.hpp"

namespace quoin::program::view {

ShortText type_text(const Value& value) {
  ShortText out = quoin::type_text(value.dtype, value.shape.span());
  const QParams* q = value.qparams;
  if (q != nullptr && q->scale.size == 1)
    out.add("(scale {}, zero_point {})", q->scale[0], q->zero_point.empty() ? 0 : q->zero_point[0]);
  else if (q != nullptr)
    out.add("({} scales, axis {})", q->scale.size, q->axis);
  return out;
}

}  // namespace quoin::program::view
