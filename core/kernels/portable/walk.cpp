#include "kernels/portable/walk.hpp"

namespace quoin::kernels {

Dims Dims::dense(std::span<const int64_t> shape) {
  Dims out(shape);
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    out[d] = stride;
    stride *= shape[d];
  }
  return out;
}

Dims Dims::broadcast(std::span<const int64_t> shape, std::span<const int64_t> out) {
  const Dims dense = Dims::dense(shape);
  Dims strides;
  strides.size_ = out.size();
  const size_t offset = out.size() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) strides[offset + d] = shape[d] == 1 ? 0 : dense[d];
  return strides;
}

void Dims::erase(size_t dim) {
  for (--size_; dim < size_; ++dim) dims_[dim] = dims_[dim + 1];
  dims_[size_] = 0;
}

Walk::Walk(const Dims& shape, std::initializer_list<Dims> strides, const Offsets& first) : first_(first) {
  rank_ = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    Dim dim{shape[d], {}};
    Offsets joined{};  // steps of a row that this dim continues
    for (size_t n = 0; n < strides.size(); ++n) {
      dim.steps[n] = strides.begin()[n][d];
      joined[n] = dim.steps[n] * dim.size;
    }
    if (rank_ > 0 && dims_[rank_ - 1].steps == joined) dim.size *= dims_[--rank_].size;
    dims_[rank_++] = dim;
  }
  if (rank_ == 0) dims_[rank_++].size = 1;
  rows_ = row_length() == 0 ? 0 : 1;
  for (size_t d = 0; d + 1 < rank_; ++d) rows_ *= dims_[d].size;
}

Walk::Offsets Walk::offsets_of(int64_t row) const {
  Offsets out = first_;
  for (size_t d = rank_ - 1; d-- > 0;) {
    const int64_t at = row % dims_[d].size;
    row /= dims_[d].size;
    for (size_t n = 0; n < kMaxOperands; ++n) out[n] += at * dims_[d].steps[n];
  }
  return out;
}

Walk::Offsets Walk::offsets_at(int64_t element) const {
  Offsets out = offsets_of(element / row_length());
  for (size_t n = 0; n < kMaxOperands; ++n) out[n] += element % row_length() * row_steps()[n];
  return out;
}

void Walk::rows(const quoin_host& host, Callback<const Offsets&> f) const {
  parallel(host, rows_, 2 * row_length(), [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) f(offsets_of(row));
  });
}

}  // namespace quoin::kernels
