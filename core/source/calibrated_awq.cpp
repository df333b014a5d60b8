// The AWQ part of Calibrated.
#include <algorithm>

#include "source/awq.hpp"
#include "source/calibrated.hpp"
#include "source/divide.hpp"

namespace quoin::source {

Status Calibrated::divide(const FoundLayer& layer, ReportLine& line) {
  const ir::ValueId value = graph_.input(layer.node, 0);
  if (divided_.contains(value)) return {};
  std::vector<ir::NodeId> readers;
  std::vector<AwqLayer> of;
  for (const auto& [id, other] : layers_) {
    if (graph_.input(id, 0) != value || !divides(*other)) continue;
    const Tensor& weight = *graph_.value(graph_.input(id, weight_slot(Target::linear))).constant;
    readers.push_back(id);
    const bool centered = other->config().bias_correction && graph_.is_constant(graph_.input(id, 2));
    of.push_back({weight, &other->config(), other->grouping, centered});
  }
  std::iter_swap(readers.begin(), std::ranges::find(readers, layer.node));  // the first in order
  if (!engine_.options_.insert_scales && !takes_division(graph_, value, readers)) {
    const std::string reason = "clip_search instead of awq: no norm in front of it can divide its input";
    engine_.resources_.diagnostics.info(graph_.describe(layer.node), reason);
    line.algorithm = name(Algorithm::clip_search);
    line.reason += line.reason.empty() ? reason : "; " + reason;
    return {};
  }
  QUOIN_TRY(const Moments* moments, moments_of(layer));
  auto factor = awq_factors(of, *moments, engine_.resources_.host);
  if (!factor) return std::move(factor).failure().at("{}", graph_.describe(layer.node));
  divided_.insert(value);
  if ((factor->array() == 1).all()) return {};
  QUOIN_TRY(const ir::ValueId result, divide_input(graph_, value, readers, *factor));
  divided_.insert(result);
  moments_->scale(factor->cwiseInverse());
  moments_value_ = result;
  divide_streams(value, result, *factor, readers.size());
  return {};
}

void Calibrated::divide_streams(ir::ValueId value, ir::ValueId result, const Vector& factor, size_t readers) {
  const Eigen::RowVectorXf inverse = factor.cwiseInverse().cast<float>();
  const auto divided = [&](const std::vector<Tensor>& samples) {
    std::vector<Tensor> out;
    for (const Tensor& sample : samples) {
      Tensor& made = out.emplace_back(DType::f32, sample.shape());
      const Eigen::Index rows = sample.size() / inverse.size();
      Eigen::Map<FloatMatrix>(made.as<float>().data(), rows, inverse.size()) =
          Rows(sample.as<float>().data(), rows, inverse.size()) * inverse.asDiagonal();
    }
    return out;
  };
  std::vector<Tensor> quantized = divided(quantized_.at(value));
  real_[result] = differs_.contains(value) ? divided(real_.at(value)) : quantized;
  quantized_[result] = std::move(quantized);
  if (result == value) return;
  if (differs_.contains(value)) differs_.insert(result);
  reads_left_[result] = readers;
  reads_left_[value] -= readers - 1;  // the multiplication is the one reader left, and it has run
  release({value});
}

}  // namespace quoin::source
