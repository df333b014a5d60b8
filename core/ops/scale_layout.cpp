#include "ops/scale_layout.hpp"

#include <algorithm>
#include <cmath>

#include "ops/short_text.hpp"

namespace quoin {
namespace {

// Elements per block along every axis; for QUOIN_PER_BLOCK as they stand, whatever their rank.
struct Block {
  std::array<int64_t, kMaxRank> dims;
  std::span<const int64_t> all;  // of `dims`, or of the qparams
};

bool blocks_of(const quoin_qparams& q, std::span<const int64_t> shape, Block& to, Fault& fault) {
  const size_t rank = shape.size();
  if (q.scheme == QUOIN_PER_BLOCK) {
    to.all = {q.block, q.block_rank};
    return true;
  }
  if (rank > kMaxRank) return fault.fail(Code::model, "shape {} has more than 8 dimensions", shape_text(shape).text());
  to.all = {to.dims.data(), rank};
  const bool along_last = q.scheme == QUOIN_PER_GROUP || q.scheme == QUOIN_PER_TOKEN;
  for (size_t i = 0; i < rank; ++i) to.dims[i] = along_last ? 1 : shape[i];
  if (q.scheme == QUOIN_PER_CHANNEL) {
    if (q.axis < 0 || static_cast<size_t>(q.axis) >= rank)
      return fault.fail(Code::model, "channel axis {} of a rank {} tensor", q.axis, rank);
    to.dims[static_cast<size_t>(q.axis)] = 1;
  }
  if (along_last) {
    if (rank == 0) return fault.fail(Code::model, "a scalar has no groups and no tokens");
    to.dims[rank - 1] = q.scheme == QUOIN_PER_TOKEN ? shape[rank - 1] : int64_t{q.group};
  }
  if (q.scheme == QUOIN_PER_GROUP) {
    if (q.group == 0) return fault.fail(Code::model, "group size 0");
    if (shape[rank - 1] % q.group != 0)
      return fault.fail(Code::model, "groups of {} do not divide the last axis of {}", q.group,
                        shape_text(shape).text());
  }
  return q.scheme <= QUOIN_PER_BLOCK || fault.fail(Code::model, "scheme {} is not known", q.scheme);
}

bool check_blocks(std::span<const int64_t> shape, std::span<const int64_t> block, int64_t& count, Fault& fault) {
  if (block.size() != shape.size() || shape.size() > kMaxRank)
    return fault.fail(Code::model, "blocks of rank {} for the shape {}", block.size(), shape_text(shape).text());
  count = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (block[d] == shape[d]) continue;  // an axis without elements, too
    if (block[d] < 1 || shape[d] % block[d] != 0)
      return fault.fail(Code::model, "blocks of {} do not divide axis {} of {}", block[d], d, shape_text(shape).text());
    count *= shape[d] / block[d];
  }
  return true;
}

}  // namespace

bool check_scales(const quoin_qparams& q, std::span<const int64_t> shape, Fault& fault) {
  Block block;
  int64_t count = 0;
  if (!blocks_of(q, shape, block, fault) || !check_blocks(shape, block.all, count, fault)) return false;
  const bool at_run_time = q.scheme == QUOIN_PER_TOKEN && q.count == 0;
  if (!at_run_time && q.count != count) return fault.fail(Code::model, "{} scales where {} are needed", q.count, count);
  if (q.qmin >= q.qmax) return fault.fail(Code::model, "empty integer range {}..{}", q.qmin, q.qmax);
  for (uint32_t i = 0; i < q.count; ++i)
    if (!std::isfinite(q.scale[i]) || q.scale[i] <= 0)
      return fault.fail(Code::model, "scale {}: {} is not a positive finite number", i, q.scale[i]);
  return true;
}

Result<Shape> block_shape(const QParams& q, const Shape& shape) {
  Fault fault;
  Block block;
  if (!blocks_of(view(q), shape, block, fault)) return fault.failure();
  return Shape(block.all.begin(), block.all.end());
}

Result<ScaleLayout> ScaleLayout::of_blocks(const Shape& shape, std::span<const int64_t> block) {
  ScaleLayout out;
  Fault fault;
  if (!check_blocks(shape, block, out.count_, fault)) return fault.failure();
  for (size_t d = 0; d < shape.size(); ++d) {
    const bool whole = block[d] == shape[d];
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
  Fault fault;
  if (!check_scales(view(q), shape, fault)) return fault.failure();
  if (!q.zero_point.empty() && q.zero_point.size() != q.scale.size())
    return fail(Code::model, "{} zero points for {} scales", q.zero_point.size(), q.scale.size());
  return ScaleLayout::of(q, shape);
}

}  // namespace quoin
