#include "source/gptq.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "source/scales.hpp"
#include "source/threads.hpp"
#include "source/weights.hpp"

namespace quoin::source {
namespace {

using Index = Eigen::Index;
constexpr size_t kRows = 16;  // of the weight, that share a pass over a Hessian

// Order of the columns, and its inverse.
struct Order {
  std::vector<Index> column;
  static Order of(const Matrix& hessian, bool by_size) {
    Order out;
    out.column.resize(static_cast<size_t>(hessian.rows()));
    std::iota(out.column.begin(), out.column.end(), Index{0});
    if (by_size) std::ranges::stable_sort(out.column, [&](Index a, Index b) { return hessian(a, a) > hessian(b, b); });
    return out;
  }
};

// The upper factor U of the inverse, H^-1 = U^T U, by one factorization: with the columns in reverse order H = L L^T,
// so H = R R^T with R upper, and U = R^-1.
Result<FloatMatrix> inverse_factor(const Matrix& hessian, const Order& order) {
  const Index n = hessian.rows();
  Matrix reversed(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      reversed(n - 1 - i, n - 1 - j) =
          hessian(order.column[static_cast<size_t>(i)], order.column[static_cast<size_t>(j)]);
  const Eigen::LLT<Matrix> factor(reversed);
  if (factor.info() != Eigen::Success)
    return fail(Code::data, "the Hessian of the layer's inputs is not positive definite")
        .hint("use more calibration samples, or a larger damping");
  Matrix inverse = Matrix::Identity(n, n);
  factor.matrixL().solveInPlace(inverse);
  return FloatMatrix(inverse.reverse().cast<float>());
}

// A few rows of a weight while they become codes. Codes are kept as (code - zero point) in float.
class Block {
 public:
  Block(const Matrix& target, size_t first, size_t count, const LayerConfig& config, int64_t group)
      : rule_(config),
        config_(config),
        first_(static_cast<Index>(first)),
        group_(group == 0 ? target.cols() : static_cast<Index>(group)),
        target_(target.middleRows(first_, static_cast<Index>(count)).cast<float>()),
        steps_(FloatMatrix::Zero(target_.rows(), target_.cols())),
        affine_(static_cast<size_t>(target_.rows() * (target_.cols() / group_))) {}

  // Columns in order; the error of each goes to those that follow, weighted by the factor.
  void compensate(const FloatMatrix& factor, const Order& order, bool scales_first) {
    FloatMatrix work(target_.rows(), target_.cols());
    for (Index j = 0; j < work.cols(); ++j) work.col(j) = target_.col(order.column[static_cast<size_t>(j)]);
    const Eigen::VectorXf importance = factor.diagonal().cwiseAbs2().cwiseInverse();
    if (scales_first) {
      Eigen::VectorXf original(importance.size());
      for (Index j = 0; j < work.cols(); ++j) original(order.column[static_cast<size_t>(j)]) = importance(j);
      for (Index g = 0; g < target_.cols(); g += group_) choose(target_, original, g);
    }
    for (Index j = 0; j < work.cols(); ++j) {
      const Index column = order.column[static_cast<size_t>(j)];
      if (!scales_first && column % group_ == 0) choose(work, importance, column);
      const float diagonal = factor(j, j);
      const Index rest = work.cols() - j - 1;
      for (Index r = 0; r < work.rows(); ++r) {
        const numerics::Affine& affine = at(r, column);
        const float code = nearest(work(r, j), affine);
        steps_(r, column) = code;
        const float error = (work(r, j) - code * affine.scale) / diagonal;
        work.row(r).tail(rest) -= error * factor.row(j).tail(rest);
      }
    }
  }

  // Coordinate descent of (Q - W) H (Q - W)^T: every code with the others fixed, then every scale.
  void descend(const FloatMatrix& hessian, int64_t sweeps) {
    if (sweeps == 0) return;
    FloatMatrix real = target_;
    for (Index r = 0; r < real.rows(); ++r)
      for (Index j = 0; j < real.cols(); ++j) real(r, j) = steps_(r, j) * at(r, j).scale;
    gradient_.noalias() = (real - target_) * hessian;
    for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
      bool changed = false;
      for (Index j = 0; j < steps_.cols(); ++j)
        for (Index r = 0; r < steps_.rows(); ++r) changed |= move_code(hessian, r, j);
      for (Index g = 0; g < steps_.cols(); g += group_)
        for (Index r = 0; r < steps_.rows(); ++r) changed |= move_scale(hessian, r, g);
      if (!changed) break;
    }
  }

  void store(int8_t* codes, QParams& q) const {
    const Index groups = steps_.cols() / group_;
    for (Index r = 0; r < steps_.rows(); ++r) {
      for (Index j = 0; j < steps_.cols(); ++j)
        codes[(first_ + r) * steps_.cols() + j] =
            static_cast<int8_t>(static_cast<int32_t>(steps_(r, j)) + at(r, j).zero_point);
      for (Index g = 0; g < groups; ++g) {
        const auto to = static_cast<size_t>((first_ + r) * groups + g);
        q.scale[to] = at(r, g * group_).scale;
        q.zero_point[to] = at(r, g * group_).zero_point;
      }
    }
  }

 private:
  const numerics::Affine& at(Index row, Index column) const {
    return affine_[static_cast<size_t>(row * (steps_.cols() / group_) + column / group_)];
  }
  numerics::Affine& at(Index row, Index column) {
    return const_cast<numerics::Affine&>(std::as_const(*this).at(row, column));
  }

  float nearest(float weight, const numerics::Affine& affine) const {
    return numerics::clamp_real(numerics::round_half_even(weight / affine.scale),
                                static_cast<float>(rule_.codes.qmin - affine.zero_point),
                                static_cast<float>(rule_.codes.qmax - affine.zero_point));
  }

  // Scales of the group at `column` for all rows from weights in column order.
  void choose(const FloatMatrix& weights, const Eigen::VectorXf& importance, Index column) {
    const auto count = static_cast<size_t>(group_);
    for (Index r = 0; r < weights.rows(); ++r) {
      const std::span<const float> part(weights.row(r).data() + column, count);
      if (config_.gptq.clip) {
        at(r, column) = rule_.search(part, {importance.data() + column, count});
      } else {
        at(r, column) = rule_.min_max(part);
        at(r, column).scale = rule_.rounded(at(r, column).scale);
      }
    }
  }

  bool move_code(const FloatMatrix& hessian, Index r, Index j) {
    const numerics::Affine& affine = at(r, j);
    const float before = steps_(r, j), best = before * affine.scale - gradient_(r, j) / hessian(j, j);
    const float code = nearest(best, affine);
    if (code == before) return false;
    steps_(r, j) = code;
    gradient_.row(r) += ((code - before) * affine.scale) * hessian.row(j);
    return true;
  }

  bool move_scale(const FloatMatrix& hessian, Index r, Index g) {
    numerics::Affine& affine = at(r, g);
    const auto steps = steps_.row(r).segment(g, group_);
    const Eigen::RowVectorXf turned = steps * hessian.middleRows(g, group_);
    const float slope = steps.dot(gradient_.row(r).segment(g, group_));
    const float curvature = turned.segment(g, group_).dot(steps);
    if (!(curvature > 0)) return false;
    const float wanted = affine.scale - slope / curvature;
    if (!(wanted > affine.scale / 2 && wanted < affine.scale * 2)) return false;
    const float moved = rule_.rounded(wanted) - affine.scale;
    if (moved == 0 || !(moved * (2 * slope + moved * curvature) < 0)) return false;
    affine.scale += moved;
    gradient_.row(r) += moved * turned;
    return true;
  }

  GroupRule rule_;
  const LayerConfig& config_;
  Index first_, group_;
  FloatMatrix target_, steps_, gradient_;
  std::vector<numerics::Affine> affine_;  // row-major [rows, groups]
};

// W + a W D H^-1: what linear regression on x makes of W f.
Matrix corrected(const Matrix& weight, const GptqProblem& problem, double correction) {
  if (problem.drift.size() == 0 || correction == 0) return weight;
  const Eigen::LLT<Matrix> factor(problem.hessian);
  const Matrix turned = weight * problem.drift;
  return weight + correction * factor.solve(turned.transpose()).transpose();
}

}  // namespace

Result<GptqProblem> gptq_problem(const Moments& moments, const LayerConfig& config, int64_t columns, bool centered) {
  const Index given = moments.second.rows();
  GptqProblem out{Matrix::Zero(columns, columns), {}};
  out.hessian.topLeftCorner(given, given) = moments.covariance(centered);
  const double mean = out.hessian.diagonal().sum() / static_cast<double>(std::max<Index>(given, 1));
  if (!std::isfinite(mean)) return fail(Code::data, "the inputs of the layer are too large to be squared");
  for (Index i = 0; i < columns; ++i) {
    double& diagonal = out.hessian(i, i);
    diagonal = diagonal > 0 ? diagonal + config.gptq.damping * mean : 1;
  }
  if (!moments.differs() || config.gptq.correction == 0) return out;
  out.drift = Matrix::Zero(columns, columns);
  out.drift.topLeftCorner(given, given) = moments.drift(centered);
  return out;
}

Result<quantize::IntxWeight> gptq(const Tensor& weight, const LayerConfig& config, int64_t group,
                                  const GptqProblem& problem, const quoin_host& host) {
  const int64_t rows = weight.shape()[0], columns = weight.shape()[1];
  const Order order = Order::of(problem.hessian, config.gptq.act_order);
  QUOIN_TRY(const FloatMatrix factor, inverse_factor(problem.hessian, order));
  const Matrix real = rows_of(weight).cast<double>();
  const Matrix target = corrected(real, problem, config.gptq.correction);
  const FloatMatrix hessian = problem.hessian.cast<float>();
  quantize::IntxWeight out{Tensor(DType::s8, weight.shape()),
                           empty_qparams(Codes::of(config.bits), group, rows, columns)};
  int8_t* codes = out.codes.as<int8_t>().data();
  const bool scales_first = config.gptq.act_order || group == 0;
  in_pieces(host, (static_cast<size_t>(rows) + kRows - 1) / kRows, 1, [&](size_t begin, size_t end) {
    for (size_t piece = begin; piece < end; ++piece) {
      const size_t first = piece * kRows, count = std::min(kRows, static_cast<size_t>(rows) - first);
      Block block(target, first, count, config, group);
      block.compensate(factor, order, scales_first);
      block.descend(hessian, config.gptq.sweeps);
      block.store(codes, out.qparams);
    }
  });
  QUOIN_CHECK(quantize::round_scales(out.qparams.scale, config.scale_dtype));
  return out;
}

double output_error(const FloatMatrix& error, const Matrix& hessian) {
  const Matrix real = error.cast<double>();
  return (real * hessian).cwiseProduct(real).sum() / static_cast<double>(std::max<Index>(real.rows(), 1));
}

}  // namespace quoin::source
