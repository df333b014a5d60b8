#include "source/moments.hpp"

#include "source/threads.hpp"

namespace quoin::source {
namespace {

constexpr Eigen::Index kBlock = 64;  // columns that a thread takes at once

// to += a^T b, in blocks of columns of a; `lower`: only up to the diagonal.
void add_product(const quoin_host& host, const auto& a, const auto& b, bool lower, Matrix& to) {
  const Eigen::Index columns = a.cols();
  in_pieces(host, static_cast<size_t>((columns + kBlock - 1) / kBlock), 1, [&](size_t begin, size_t end) {
    for (auto block = static_cast<Eigen::Index>(begin); block < static_cast<Eigen::Index>(end); ++block) {
      const Eigen::Index first = block * kBlock, count = std::min(kBlock, columns - first);
      const Eigen::Index width = lower ? first + count : b.cols();
      const FloatMatrix product = a.middleCols(first, count).transpose() * b.leftCols(width);
      to.block(first, 0, count, width) += product.cast<double>();
    }
  });
}

}  // namespace

Moments::Moments(int64_t columns)
    : second(Matrix::Zero(columns, columns)),
      sum_x(Vector::Zero(columns)),
      sum_f(Vector::Zero(columns)),
      sum_magnitude(Vector::Zero(columns)) {}

Status Moments::add(const Rows& x, const Rows& f, const quoin_host& host) {
  for (const Rows* rows : {&x, &f})
    if (!rows->allFinite()) return fail(Code::data, "the layer's input has a NaN or an infinite element");
  count += static_cast<double>(x.rows());
  sum_x += x.cast<double>().colwise().sum().transpose();
  sum_f += f.cast<double>().colwise().sum().transpose();
  sum_magnitude += x.cast<double>().cwiseAbs().colwise().sum().transpose();
  add_product(host, x, x, true, second);
  second.triangularView<Eigen::StrictlyUpper>() = second.transpose();
  if (x.data() == f.data()) return {};
  if (!differs_) cross = Matrix::Zero(second.rows(), second.cols());
  differs_ = true;
  const FloatMatrix difference = f - x;
  add_product(host, difference, x, false, cross);
  return {};
}

Matrix Moments::covariance(bool centered) const {
  Matrix out = second / count;
  if (centered) out.noalias() -= (sum_x / count) * (sum_x / count).transpose();
  return out;
}

Matrix Moments::drift(bool centered) const {
  Matrix out = cross / count;
  if (centered) out.noalias() -= ((sum_f - sum_x) / count) * (sum_x / count).transpose();
  return out;
}

void Moments::scale(const Vector& factor) {
  for (Matrix* matrix : {&second, &cross})
    if (matrix->size() != 0) *matrix = factor.asDiagonal() * *matrix * factor.asDiagonal();
  for (Vector* vector : {&sum_x, &sum_f, &sum_magnitude}) *vector = vector->cwiseProduct(factor);
}

}  // namespace quoin::source
