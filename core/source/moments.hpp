// What calibrated algorithms need to know about the inputs of a linear layer.
#pragma once

#include <quoin/abi.h>

#include <Eigen/Core>

#include "base/result.hpp"

namespace quoin::source {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;
using Rows = Eigen::Map<const FloatMatrix>;

// Sums over the rows x of the layer's input as quantized layers before it make it, and the rows f of the float model.
struct Moments {
  explicit Moments(int64_t columns);
  // Products are summed in f32 within a call and in f64 over calls. `x` and `f` are [rows, columns]; the same memory
  // where nothing before the layer is quantized. Errors (data): a NaN or Inf.
  Status add(const Rows& x, const Rows& f, const quoin_host& host);
  bool differs() const { return differs_; }  // x and f are not the same

  double count = 0;
  Matrix second;                       // sum of x x^T
  Matrix cross;                        // sum of (f - x) x^T; empty until they differ
  Vector sum_x, sum_f, sum_magnitude;  // of x, f and |x|

  // Per row. Centered: with the means taken off, which is what a bias leaves to be explained.
  Matrix covariance(bool centered) const;
  Matrix drift(bool centered) const;  // of f - x with x; precondition: differs()
  Vector mean_square() const { return second.diagonal() / count; }
  // The moments of x * factor and f * factor, per column.
  void scale(const Vector& factor);

 private:
  bool differs_ = false;
};

}  // namespace quoin::source
