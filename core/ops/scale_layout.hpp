// Which scale belongs to which element of a dense tensor: the one answer for every scheme.
//
// Every scheme cuts the tensor into equal blocks with one scale each; scales lie in row-major order of the blocks:
//   per_tensor   one block
//   per_channel  one index of the channel axis, all of every other axis
//   per_group    `group` elements of the last axis
//   per_token    the last axis
//   per_block    `block` elements along every axis
#pragma once

#include <array>
#include <span>

#include "base/fault.hpp"
#include "ops/tensor.hpp"

namespace quoin {

class ScaleLayout {
 public:
  // One block: per tensor.
  ScaleLayout() = default;
  // `block`: elements per block along every axis of `shape`.
  // Errors (model): another rank, or a block that does not divide its axis.
  static Result<ScaleLayout> of_blocks(const Shape& shape, std::span<const int64_t> block);
  // Of the scheme, axis, group and block of `qparams`; its scales are not looked at.
  // Errors (model): an axis, group or block that does not fit the shape.
  static Result<ScaleLayout> of(const QParams& qparams, const Shape& shape);

  int64_t count() const { return count_; }  // of scales
  // The scale of element i. Precondition: i is an element of the shape.
  int64_t operator()(int64_t i) const {
    int64_t scale = 0;
    for (size_t d = rank_; d-- > 0; i /= axes_[d].size) scale += i % axes_[d].size / axes_[d].block * axes_[d].stride;
    return scale;
  }
  // Calls f(scale, first, count) for the elements [begin, end) in order, in runs with one scale each.
  template <class F>
  void runs(int64_t begin, int64_t end, const F& f) const {
    const int64_t block = rank_ == 0 ? std::max<int64_t>(end, 1) : axes_[rank_ - 1].block;
    for (int64_t first = begin; first < end;) {
      const int64_t count = std::min(block - first % block, end - first);
      f((*this)(first), first, count);
      first += count;
    }
  }

 private:
  // Neighbouring axes are merged where one division finds the block, so that most layouts have one axis.
  struct Axis {
    int64_t size = 1, block = 1, stride = 0;
  };
  std::array<Axis, kMaxRank> axes_{};
  size_t rank_ = 0;
  int64_t count_ = 1;
};

// Elements per block along every axis of `shape`. Errors (model): an axis, group or block that does not fit the shape.
Result<Shape> block_shape(const QParams& qparams, const Shape& shape);

// The layout of qparams that are complete: as many scales and zero points as the scheme needs (none: per_token qparams
// that are chosen at run time), every scale positive and finite, a range that is not empty.
// Errors (model): what does not fit.
Result<ScaleLayout> check_scales(const QParams& qparams, const Shape& shape);

// The same rules for the plugin boundary's struct, which has as many zero points as scales, or none.
bool check_scales(const quoin_qparams& qparams, std::span<const int64_t> shape, Fault& fault);

}  // namespace quoin
