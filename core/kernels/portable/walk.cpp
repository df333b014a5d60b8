#include "kernels/portable/walk.hpp"

#include "ops/shape.hpp"

namespace quoin::kernels {

Walk::Walk(const Shape& shape, std::initializer_list<Shape> strides, const Offsets& first) : first_(first) {
  dims_.clear();
  for (size_t d = 0; d < shape.size(); ++d) {
    Dim dim{shape[d], {}};
    Offsets joined{};  // steps of a row that this dim continues
    for (size_t n = 0; n < strides.size(); ++n) {
      dim.steps[n] = strides.begin()[n][d];
      joined[n] = dim.steps[n] * dim.size;
    }
    if (!dims_.empty() && dims_.back().steps == joined) {
      dim.size *= dims_.back().size;
      dims_.pop_back();
    }
    dims_.push_back(dim);
  }
  if (dims_.empty()) dims_.emplace_back();
  rows_ = row_length() == 0 ? 0 : 1;
  for (size_t d = 0; d + 1 < dims_.size(); ++d) rows_ *= dims_[d].size;
}

Walk::Offsets Walk::offsets_of(int64_t row) const {
  Offsets out = first_;
  for (size_t d = dims_.size() - 1; d-- > 0;) {
    const int64_t at = row % dims_[d].size;
    row /= dims_[d].size;
    for (size_t n = 0; n < kMaxOperands; ++n) out[n] += at * dims_[d].steps[n];
  }
  return out;
}

Shape broadcast_strides(const Shape& shape, const Shape& out) {
  const Shape dense = strides_of(shape);
  Shape strides(out.size(), 0);
  const size_t offset = out.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) strides[offset + i] = shape[i] == 1 ? 0 : dense[i];
  return strides;
}

}  // namespace quoin::kernels
