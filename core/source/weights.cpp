#include "source/weights.hpp"

#include <algorithm>

namespace quoin::source {

Tensor padded(const Tensor& weight, int64_t columns) {
  const int64_t rows = weight.shape()[0], given = weight.shape()[1];
  if (columns == given) return weight;
  Tensor out(DType::f32, {rows, columns});
  const auto from = weight.as<float>();
  const auto to = out.as<float>();
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from.begin() + r * given, given, to.begin() + r * columns);
  return out;
}

Tensor scaled_columns(const Tensor& weight, const Vector& factor) {
  Tensor out(DType::f32, weight.shape());
  const Rows from = rows_of(weight);
  Eigen::Map<FloatMatrix> to(out.as<float>().data(), from.rows(), from.cols());
  to = (from.cast<double>() * factor.asDiagonal()).cast<float>();
  return out;
}

FloatMatrix dequantized(const quantize::IntxWeight& weight) {
  const int64_t rows = weight.codes.shape()[0], columns = weight.codes.shape()[1];
  FloatMatrix out(rows, columns);
  const auto codes = weight.codes.as<int8_t>();
  const auto& q = weight.qparams;
  const size_t group = q.scale.empty() ? 1 : codes.size() / q.scale.size();
  for (size_t i = 0; i < codes.size(); ++i)
    out.data()[i] = static_cast<float>(codes[i] - q.zero_point_at(i / group)) * q.scale[i / group];
  return out;
}

}  // namespace quoin::source
