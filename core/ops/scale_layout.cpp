#include "ops/scale_layout.hpp"

#include <algorithm>
#include <cmath>

namespace quoin {

Result<Shape> block_shape(const QParams& q, const Shape& shape) {
  Shape block = shape;
  switch (q.scheme) {
    case Scheme::per_tensor:
      return block;
    case Scheme::per_channel:
      if (q.axis < 0 || static_cast<size_t>(q.axis) >= shape.size())
        return fail(Code::model, "channel axis {} of a rank {} tensor", q.axis, shape.size());
      block[static_cast<size_t>(q.axis)] = 1;
      return block;
    case Scheme::per_group:
    case Scheme::per_token:
      if (shape.empty()) return fail(Code::model, "a scalar has no groups and no tokens");
      std::fill(block.begin(), block.end(), 1);
      block.back() = q.scheme == Scheme::per_token ? shape.back() : static_cast<int64_t>(q.group);
      if (block.back() == 0 && q.scheme == Scheme::per_group) return fail(Code::model, "group size 0");
      if (q.scheme == Scheme::per_group && shape.back() % block.back() != 0)
        return fail(Code::model, "groups of {} do not divide the last axis of {}", q.group, to_string(shape));
      return block;
    case Scheme::per_block:
      return Shape(q.block);
  }
  return fail(Code::model, "scheme {} is not known", static_cast<uint32_t>(q.scheme));
}

Result<ScaleLayout> ScaleLayout::of_blocks(const Shape& shape, std::span<const int64_t> block) {
  if (block.size() != shape.size() || shape.size() > kMaxRank)
    return fail(Code::model, "blocks of rank {} for the shape {}", block.size(), to_string(shape));
  ScaleLayout out;
  for (size_t d = 0; d < shape.size(); ++d) {
    const bool whole = block[d] == shape[d];  // an axis without elements, too
    if (!whole && (block[d] < 1 || shape[d] % block[d] != 0))
      return fail(Code::model, "blocks of {} do not divide axis {} of {}", block[d], d, to_string(shape));
    out.count_ *= whole ? 1 : shape[d] / block[d];
    const int64_t size = std::max<int64_t>(shape[d], 1), width = std::max<int64_t>(whole ? size : block[d], 1);
    Axis* before = out.rank_ == 0 ? nullptr : &out.axes_[out.rank_ - 1];
    if (before != nullptr && (width == size || before->block == 1))
      *before = {before->size * size, width == size ? before->block * size : width, 0};
    else
      out.axes_[out.rank_++] = {size, width, 0};
  }
  int64_t stride = 1;
  for (size_t d = out.rank_; d-- > 0;) {
    out.axes_[d].stride = stride;
    stride *= out.axes_[d].size / out.axes_[d].block;
  }
  return out;
}

Result<ScaleLayout> ScaleLayout::of(const QParams& qparams, const Shape& shape) {
  QUOIN_TRY(const Shape block, block_shape(qparams, shape));
  return of_blocks(shape, block);
}

Result<ScaleLayout> check_scales(const QParams& q, const Shape& shape) {
  QUOIN_TRY(ScaleLayout layout, ScaleLayout::of(q, shape));
  const bool at_run_time = q.scheme == Scheme::per_token && q.scale.empty();
  if (!at_run_time && static_cast<int64_t>(q.scale.size()) != layout.count())
    return fail(Code::model, "{} scales where {} are needed", q.scale.size(), layout.count());
  if (!q.zero_point.empty() && q.zero_point.size() != q.scale.size())
    return fail(Code::model, "{} zero points for {} scales", q.zero_point.size(), q.scale.size());
  if (q.qmin >= q.qmax) return fail(Code::model, "empty integer range {}..{}", q.qmin, q.qmax);
  for (size_t i = 0; i < q.scale.size(); ++i)
    if (!std::isfinite(q.scale[i]) || q.scale[i] <= 0)
      return fail(Code::model, "scale {}: {} is not a positive finite number", i, q.scale[i]);
  return layout;
}

}  // namespace quoin
