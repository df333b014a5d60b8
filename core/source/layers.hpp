// The layers of a graph that rules decide about, and what takes their place.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.hpp"
#include "source/layer.hpp"
#include "source/quantizer.hpp"

namespace quoin::source {

using Target = LayerConfig::Target;

// The rule about a layer, or null.
using Decide = std::function<const Rule*(const ir::Graph&, ir::NodeId, Target)>;

struct FoundLayer {
  ir::NodeId node = ir::kNone;
  Target target = Target::linear;
  const Rule* rule = nullptr;  // null: none is about it
  Grouping grouping;           // where it will be quantized
  std::string reason;          // why it stays in float; "": it will be quantized
  bool unintended = false;     // the rule wants it quantized
  const LayerConfig& config() const { return *rule->config; }
};

// What kind of layer the node is; none: no rule is about such nodes.
std::optional<Target> target_of(const ir::Node& node);
inline uint32_t weight_slot(Target target) { return target == Target::linear ? 1 : 0; }

// Every linear layer and embedding in order, with what is to be done to it. Errors (input): policy error for rows that
// the group does not divide.
Result<std::vector<FoundLayer>> find_layers(const ir::Graph& graph, const Decide& decide);
// Fills in what the configuration and the policy for uneven rows make of a layer with rows of `columns` weights.
void describe(ReportLine& line, const LayerConfig& config, const Grouping& grouping, int64_t columns);
ReportLine report_line(const ir::Graph& graph, const FoundLayer& layer, const std::string& rule);

// Puts the quantized layer in the place of the float one: the node stays, with new operands, and becomes
// quoin.linear_dynamic if its activations are quantized. Returns the nodes to run instead of it, in order: one that
// pads its input, itself, one that cuts its result.
Result<std::vector<ir::NodeId>> install(ir::Graph& graph, const FoundLayer& layer, LayerOutput output);

// The operand becomes `tensor`, in place if nobody else reads it.
void replace_constant(ir::Graph& graph, ir::NodeId node, uint32_t slot, Tensor tensor,
                      std::shared_ptr<const QParams> qparams = nullptr);

}  // namespace quoin::source
