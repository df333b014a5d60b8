// How integers stand for real numbers: real = (q - zero_point) * scale.
#pragma once

#include <quoin/abi.h>

#include <cstdint>
#include <vector>

#include "ops/dtype.hpp"

namespace quoin {

enum class Scheme : uint32_t {
  per_tensor = QUOIN_PER_TENSOR,
  per_channel = QUOIN_PER_CHANNEL,
  per_group = QUOIN_PER_GROUP,
  per_token = QUOIN_PER_TOKEN,
  per_block = QUOIN_PER_BLOCK
};

struct QParams {
  DType dtype = DType::s8;  // storage type
  Scheme scheme = Scheme::per_tensor;
  int32_t axis = -1;   // per_channel: the channel axis
  uint32_t group = 0;  // per_group: elements of the last axis that share one scale
  int32_t qmin = -128, qmax = 127;
  std::vector<float> scale;         // 1, dims[axis], rows * groups or blocks (row-major)
  std::vector<int32_t> zero_point;  // as many, or empty: all zero
  std::vector<int64_t> block{};     // per_block: elements per block along every axis
  friend bool operator==(const QParams&, const QParams&) = default;
  int32_t zero_point_at(size_t i) const { return zero_point.empty() ? 0 : zero_point[i]; }
};

// The ABI view; borrows the vectors of `qparams`.
inline quoin_qparams view(const QParams& qparams) {
  return {sizeof(quoin_qparams),
          static_cast<uint32_t>(qparams.dtype),
          static_cast<uint32_t>(qparams.scheme),
          qparams.axis,
          qparams.group,
          static_cast<uint32_t>(qparams.scale.size()),
          qparams.qmin,
          qparams.qmax,
          qparams.scale.data(),
          qparams.zero_point.empty() ? nullptr : qparams.zero_point.data(),
          qparams.block.data(),
          qparams.block.size()};
}

}  // namespace quoin
