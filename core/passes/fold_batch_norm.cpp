#include <cmath>
#include <optional>

#include "passes/passes.hpp"

namespace quoin::passes {
namespace {

// Which axis of the weight holds the output channels; nullopt: not an operator that batch norm folds into.
std::optional<size_t> channel_axis(const ir::Node& node) {
  const std::string& op = node.op();
  if (op == "aten.conv1d.default" || op == "aten.conv2d.default" || op == "aten.linear.default") return 0;
  if (op == "aten.conv_transpose2d.input" && get_int(node.attrs, "groups") == 1) return 1;
  return std::nullopt;
}

struct BatchNorm {
  std::vector<float> scale;  // gamma / sqrt(var + eps)
  std::vector<float> mean, inverse_deviation, gamma, beta;
};

// Operand `slot` as floats, or `fallback` repeated when the operand is absent; nullopt: not a constant f32 of that
// size.
std::optional<std::vector<float>> channel_values(const ir::Graph& graph, const ir::Node& node, uint32_t slot,
                                                 size_t channels, float fallback) {
  const ir::ValueId id = slot < node.inputs.size() ? node.inputs[slot] : ir::kNone;
  if (id == ir::kNone) return std::vector<float>(channels, fallback);
  const auto& constant = graph.value(id).constant;
  if (!constant || constant->dtype() != DType::f32 || static_cast<size_t>(constant->size()) != channels)
    return std::nullopt;
  const auto values = constant->as<float>();
  return std::vector<float>(values.begin(), values.end());
}

std::optional<BatchNorm> read_batch_norm(const ir::Graph& graph, const ir::Node& node, size_t channels) {
  enum { kGamma = 1, kBeta = 2, kMean = 3, kVariance = 4 };
  auto gamma = channel_values(graph, node, kGamma, channels, 1);
  auto beta = channel_values(graph, node, kBeta, channels, 0);
  auto mean = channel_values(graph, node, kMean, channels, 0);
  const auto variance = channel_values(graph, node, kVariance, channels, 1);
  if (!gamma || !beta || !mean || !variance) return std::nullopt;
  const float eps = static_cast<float>(get_number(node.attrs, "eps"));
  BatchNorm out{{}, *std::move(mean), {}, *std::move(gamma), *std::move(beta)};
  for (size_t c = 0; c < channels; ++c) {
    out.inverse_deviation.push_back(1.0f / std::sqrt((*variance)[c] + eps));
    out.scale.push_back(out.gamma[c] * out.inverse_deviation[c]);
  }
  return out;
}

Tensor scale_channels(const Tensor& weight, size_t axis, const std::vector<float>& scale) {
  Tensor out(DType::f32, weight.shape());
  const auto source = weight.as<float>();
  const auto target = out.as<float>();
  size_t inner = 1;
  for (size_t d = axis + 1; d < weight.shape().size(); ++d) inner *= static_cast<size_t>(weight.shape()[d]);
  for (size_t i = 0; i < source.size(); ++i) target[i] = source[i] * scale[i / inner % scale.size()];
  return out;
}

// b' = (b - mean) * inverse_deviation * gamma + beta, in this order: the reference's rounding.
Tensor shift_bias(const std::vector<float>& bias, const BatchNorm& norm) {
  Tensor out(DType::f32, {static_cast<int64_t>(bias.size())});
  const auto target = out.as<float>();
  for (size_t c = 0; c < bias.size(); ++c)
    target[c] = (bias[c] - norm.mean[c]) * norm.inverse_deviation[c] * norm.gamma[c] + norm.beta[c];
  return out;
}

// Folds `norm_id` into its producer if that is legal; false: left alone.
bool fold(ir::Graph& graph, ir::NodeId norm_id) {
  enum { kInput = 0, kWeight = 1, kBias = 2 };
  const ir::Node& norm = graph.node(norm_id);
  const ir::ValueId input = norm.inputs[kInput];
  const ir::NodeId producer = graph.value(input).producer;
  if (producer == ir::kNone || graph.single_user(input) != norm_id) return false;
  const std::optional<size_t> axis = channel_axis(graph.node(producer));
  const ir::ValueId weight_id = axis ? graph.input(producer, kWeight) : ir::kNone;
  // On a linear the normalised axis is 1, which is the feature axis only for [batch, features].
  const bool misplaced =
      graph.node(producer).op() == "aten.linear.default" && graph.value(input).type.shape.size() != 2;
  if (!axis || misplaced || !graph.is_constant(weight_id) || graph.value(weight_id).type.dtype != DType::f32)
    return false;

  const Tensor weight = *graph.value(weight_id).constant;
  const size_t channels = static_cast<size_t>(weight.shape()[*axis]);
  const auto parameters = read_batch_norm(graph, norm, channels);
  const auto bias = channel_values(graph, graph.node(producer), kBias, channels, 0);
  if (!parameters || !bias) return false;

  // New constants, so that a weight shared with another operator stays as it was there.
  const std::string base = graph.value(weight_id).name;
  const ir::ValueId bias_id = graph.input(producer, kBias);
  const std::string bias_base = bias_id == ir::kNone ? base + "_bias" : graph.value(bias_id).name;
  const ir::ValueId folded_weight = graph.add_constant(base + "_bn", scale_channels(weight, *axis, parameters->scale));
  const ir::ValueId folded_bias = graph.add_constant(bias_base + "_bn", shift_bias(*bias, *parameters));
  graph.node(producer).inputs.resize(std::max<size_t>(graph.node(producer).inputs.size(), kBias + 1), ir::kNone);
  graph.set_input(producer, kWeight, folded_weight);
  graph.set_input(producer, kBias, folded_bias);
  std::vector<std::string>& origins = graph.node(producer).origins;
  if (origins.empty()) origins.push_back(graph.node(producer).name);
  origins.push_back(norm.name);
  graph.replace_uses(norm.outputs[0], input);
  graph.erase_node(norm_id);
  return true;
}

}  // namespace

Status fold_batch_norm(ir::Graph& graph, const NodeFilter& filter) {
  const std::vector<ir::NodeId> order = graph.order();
  bool changed = false;
  for (const ir::NodeId id : order)
    if (graph.node(id).op() == "aten.batch_norm.default" && allowed(filter, graph, id)) changed |= fold(graph, id);
  if (changed) graph.erase_dead();
  return {};
}

}  // namespace quoin::passes
