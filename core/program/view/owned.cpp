#include "program/view/owned.hpp"

namespace quoin::program::view {

quoin::QParams owned_qparams(const QParams& from) {
  return {from.dtype,
          static_cast<Scheme>(from.scheme),
          from.axis,
          from.group,
          from.qmin,
          from.qmax,
          {from.scale.begin(), from.scale.end()},
          {from.zero_point.begin(), from.zero_point.end()},
          {from.block.begin(), from.block.end()}};
}

TensorType owned_type(const Value& from) {
  TensorType out{from.dtype, Shape(from.shape.begin(), from.shape.end()), nullptr};
  if (from.qparams != nullptr) out.qparams = std::make_shared<const quoin::QParams>(owned_qparams(*from.qparams));
  return out;
}

quoin::Attr owned_attr(const Attr& from) {
  switch (from.kind) {
    case AttrKind::boolean:
      return from.integer == 1;
    case AttrKind::integer:
      return from.integer;
    case AttrKind::number:
      return from.number;
    case AttrKind::text:
      return std::string(from.text);
    case AttrKind::integers:
      return std::vector<int64_t>(from.integers.begin(), from.integers.end());
    case AttrKind::numbers:
      return std::vector<double>(from.numbers.begin(), from.numbers.end());
  }
  return false;
}

Attrs owned_attrs(const Node& from) {
  Attrs out;
  for (const Attr& attr : from.attrs) out.emplace_hint(out.end(), attr.name, owned_attr(attr));
  return out;
}

}  // namespace quoin::program::view
