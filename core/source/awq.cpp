#include "source/awq.hpp"

#include <algorithm>
#include <cmath>

#include "source/gptq.hpp"
#include "source/weights.hpp"

namespace quoin::source {
namespace {

constexpr int kPowers = 20;
constexpr int64_t kMostWork = int64_t{1} << 31;  // products that one measurement may take

// Columns that are never used get the least factor rather than none.
Vector factors_of(const Vector& magnitude, double power) {
  Vector out = magnitude.array().max(1e-4 * magnitude.mean() + 1e-30).pow(power);
  out /= std::sqrt(out.maxCoeff() * out.minCoeff());
  return out.cast<float>().cast<double>();
}

// How much of the output a layer loses to rounding, as a function of the factors.
class Loss {
 public:
  Loss(const AwqLayer& layer, const Moments& moments)
      : layer_(layer), hessian_(moments.covariance(layer.centered)), weight_(some_rows(layer.weight)) {}

  Result<double> with(const Vector& factor, const quoin_host& host) const {
    const LayerConfig& config = *layer_.config;
    const Tensor scaled = padded(scaled_columns(weight_, factor), layer_.grouping.columns);
    QUOIN_TRY(const quantize::IntxWeight quantized,
              quantize::quantize_weight(scaled,
                                        {config.bits, layer_.grouping.group, config.mapping,
                                         quantize::WeightAlgorithm::min_max, config.scale_dtype},
                                        &host));
    const Rows real = rows_of(weight_);
    const FloatMatrix back =
        dequantized(quantized).leftCols(real.cols()) * factor.cwiseInverse().cast<float>().asDiagonal();
    return output_error(back - real, hessian_) * static_cast<double>(layer_.weight.shape()[0]);
  }

 private:
  static Tensor some_rows(const Tensor& weight) {
    const int64_t rows = weight.shape()[0], columns = weight.shape()[1];
    const int64_t most = std::max<int64_t>(kMostWork / std::max<int64_t>(columns * columns, 1), 1);
    if (rows <= most) return weight;
    Tensor out(DType::f32, {most, columns});
    for (int64_t r = 0; r < most; ++r)
      std::copy_n(weight.as<float>().begin() + r * rows / most * columns, columns,
                  out.as<float>().begin() + r * columns);
    return out;
  }

  const AwqLayer& layer_;
  Matrix hessian_;
  Tensor weight_;
};

}  // namespace

Result<Vector> awq_factors(std::span<const AwqLayer> layers, const Moments& moments, const quoin_host& host) {
  std::vector<Loss> losses;
  for (const AwqLayer& layer : layers) losses.emplace_back(layer, moments);
  const Vector magnitude = moments.sum_magnitude / moments.count;
  Vector best = Vector::Ones(magnitude.size());
  double least = INFINITY;
  for (int power = 0; power < kPowers; ++power) {
    const Vector factor = factors_of(magnitude, static_cast<double>(power) / kPowers);
    double loss = 0;
    for (const Loss& of : losses) {
      QUOIN_TRY(const double one, of.with(factor, host));
      loss += one;
    }
    if (loss >= least) continue;
    least = loss;
    best = factor;
  }
  return best;
}

}  // namespace quoin::source
