#include "source/layer.hpp"

#include <algorithm>
#include <cmath>

#include "ops/half.hpp"
#include "quantize/pack.hpp"
#include "source/gptq.hpp"
#include "source/scales.hpp"
#include "source/threads.hpp"
#include "source/weights.hpp"

namespace quoin::source {
namespace {

using quantize::IntxWeight;

Tensor in_precision(const Tensor& weight, DType precision) {
  if (precision == DType::f32) return weight;
  Tensor out(DType::f32, weight.shape());
  std::ranges::transform(weight.as<float>(), out.as<float>().begin(), [&](float w) {
    return precision == DType::f16 ? half_to_float(float_to_half(w)) : bfloat_to_float(float_to_bfloat(w));
  });
  return out;
}

// The mean squares of the inputs, one per column of the padded weight; empty without moments.
std::vector<float> importance(const LayerInput& layer, bool centered) {
  if (layer.moments == nullptr) return {};
  std::vector<float> out(static_cast<size_t>(layer.grouping.columns), 0.0f);
  const Vector diagonal = centered ? Vector(layer.moments->covariance(true).diagonal()) : layer.moments->mean_square();
  // Not 0: where inputs vanish the weights themselves decide.
  const double least = 1e-6 * diagonal.mean() + 1e-30;
  for (Eigen::Index i = 0; i < diagonal.size(); ++i)
    out[static_cast<size_t>(i)] = static_cast<float>(std::max(diagonal(i), least));
  return out;
}

Result<IntxWeight> by_search(const Tensor& weight, const LayerInput& layer, bool centered, const quoin_host& host) {
  const LayerConfig& config = layer.config;
  QParams q = empty_qparams(Codes::of(config.bits), layer.grouping.group, weight.shape()[0], weight.shape()[1]);
  if (config.algorithm == Algorithm::hqq_affine)
    half_quadratic(weight, config, q, host);
  else
    search_scales(weight, config, importance(layer, centered), q, host);
  QUOIN_CHECK(quantize::round_scales(q.scale, config.scale_dtype, &host));
  // The nearest codes: 1 / scale is not rounded to the type of the scales.
  return IntxWeight{quantize::quantize_codes(weight, q, DType::f32, &host), std::move(q)};
}

Result<IntxWeight> integers(const Tensor& weight, const LayerInput& layer, bool centered, const quoin_host& host) {
  const LayerConfig& config = layer.config;
  switch (config.algorithm) {
    case Algorithm::min_max:
    case Algorithm::hqq: {
      const auto algorithm = config.algorithm == Algorithm::hqq ? quantize::WeightAlgorithm::hqq_scale_only
                                                                : quantize::WeightAlgorithm::min_max;
      return quantize::quantize_weight(
          weight, {config.bits, layer.grouping.group, config.mapping, algorithm, config.scale_dtype}, &host);
    }
    case Algorithm::gptq: {
      QUOIN_TRY(const GptqProblem problem, gptq_problem(*layer.moments, config, layer.grouping.columns, centered));
      return gptq(weight, config, layer.grouping.group, problem, host);
    }
    case Algorithm::clip_search:
    case Algorithm::hqq_affine:
    case Algorithm::awq:  // its scales are in the weight already
      break;
  }
  return by_search(weight, layer, centered, host);
}

double relative_error(const Tensor& weight, const IntxWeight& quantized, const quoin_host& host) {
  const auto real = weight.as<float>();
  const auto codes = quantized.codes.as<int8_t>();
  const auto columns = static_cast<size_t>(weight.shape()[1]), rows = static_cast<size_t>(weight.shape()[0]);
  const auto width = static_cast<size_t>(quantized.codes.shape()[1]);
  const size_t groups = rows == 0 ? 0 : quantized.qparams.scale.size() / rows, group = groups == 0 ? 1 : width / groups;
  std::vector<std::pair<double, double>> sums(rows);  // error and weight
  in_pieces(host, rows, std::max<size_t>((size_t{1} << 16) / std::max<size_t>(columns, 1), 1),
            [&](size_t begin, size_t end) {
              for (size_t r = begin; r < end; ++r)
                for (size_t first = 0; first < columns; first += group) {
                  const size_t g = r * groups + first / group, count = std::min(group, columns - first);
                  const float scale = quantized.qparams.scale[g];
                  const int32_t zero = quantized.qparams.zero_point_at(g);
                  float error = 0, square = 0;
                  for (size_t i = 0; i < count; ++i) {
                    const float w = real[r * columns + first + i];
                    const float rest = w - static_cast<float>(codes[r * width + first + i] - zero) * scale;
                    error += rest * rest;
                    square += w * w;
                  }
                  sums[r].first += static_cast<double>(error);
                  sums[r].second += static_cast<double>(square);
                }
            });
  double error = 0, square = 0;
  for (const auto& [e, s] : sums) {
    error += e;
    square += s;
  }
  return square > 0 ? std::sqrt(error / square) : 0;
}

// bias + W mean(f) - Q mean(x): the output keeps the mean that it has in the float model.
Tensor corrected_bias(const LayerInput& layer, const Tensor& weight, const IntxWeight& quantized) {
  const int64_t rows = weight.shape()[0];
  const Moments& moments = *layer.moments;
  const Eigen::Index given = moments.sum_x.size();
  const Matrix real = rows_of(weight).leftCols(given).cast<double>();
  const Matrix codes = dequantized(quantized).leftCols(given).cast<double>();
  const Vector shift = (real * moments.sum_f - codes * moments.sum_x) / moments.count;
  Tensor out(DType::f32, {rows});
  for (int64_t r = 0; r < rows; ++r)
    out.as<float>()[static_cast<size_t>(r)] =
        static_cast<float>(static_cast<double>(layer.bias->as<float>()[static_cast<size_t>(r)]) + shift(r));
  return out;
}

checkpoint::Quantized packed(IntxWeight weight) {
  QParams& q = weight.qparams;
  if (std::ranges::all_of(q.zero_point, [](int32_t zero) { return zero == 0; })) q.zero_point = {};  // frees them
  const DType dtype = quantize::packed_type(q);
  Tensor codes = std::move(weight.codes);
  if (dtype != q.dtype) {
    codes = *quantize::packed(codes, dtype);  // codes are in the range that chose the type
    q.dtype = dtype;
  }
  return {std::move(codes), std::make_shared<const QParams>(std::move(q))};
}

}  // namespace

Result<LayerOutput> quantize_layer(const LayerInput& layer, const quoin_host& host) {
  if (layer.weight.dtype() != DType::f32 || layer.weight.shape().size() != 2)
    return fail(Code::input, "the weight must be an f32 matrix, found {}{}", name(layer.weight.dtype()),
                to_string(layer.weight.shape()));
  const Tensor rounded = in_precision(layer.weight, layer.config.precision);
  QUOIN_CHECK(quantize::check_finite(rounded, &host));
  const Tensor weight = padded(rounded, layer.grouping.columns);
  const bool centered = layer.moments != nullptr && layer.bias.has_value() && layer.config.bias_correction;
  QUOIN_TRY(IntxWeight quantized, integers(weight, layer, centered, host));
  LayerOutput out;
  out.weight_error = relative_error(layer.weight, quantized, host);
  if (centered) out.bias = corrected_bias(layer, weight, quantized);
  out.weight = packed(std::move(quantized));
  return out;
}

}  // namespace quoin::source
