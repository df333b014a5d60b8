#include "source/layers.hpp"

#include <algorithm>
#include <array>

namespace quoin::source {
namespace {

struct Kind {
  std::string_view op, name;
  Target target;
};
constexpr std::array<Kind, 2> kKinds{
    {{"aten.linear.default", "linear", Target::linear}, {"aten.embedding.default", "embedding", Target::embedding}}};

// Why the weight cannot be quantized; "": it can.
std::string obstacle(const ir::Graph& graph, ir::ValueId weight) {
  const ir::Value& value = graph.value(weight);
  if (value.type.qparams) return "its weight is quantized already";
  if (!value.constant) return "its weight is not a constant: it is computed, or quantized already";
  if (value.type.dtype != DType::f32 || value.type.shape.size() != 2)
    return fmt::format("its weight must be an f32 matrix, found {}", to_string(value.type));
  return numel(value.type.shape) == 0 ? "its weight is empty" : "";
}

std::string module_or_node(const ir::Node& node) {
  const std::string path = node.module_path();
  return path.empty() ? node.name : path;
}

ir::Provenance provenance_of(const ir::Graph& graph, ir::NodeId id) { return ir::provenance(graph.node(id)); }

}  // namespace

std::optional<Target> target_of(const ir::Node& node) {
  for (const Kind& kind : kKinds)
    if (node.op() == kind.op) return kind.target;
  return std::nullopt;
}

Result<std::vector<FoundLayer>> find_layers(const ir::Graph& graph, const Decide& decide) {
  std::vector<FoundLayer> out;
  for (const ir::NodeId id : graph.order()) {
    const auto target = target_of(graph.node(id));
    if (!target) continue;
    FoundLayer layer{id, *target, decide(graph, id, *target), {}, {}};
    const ir::ValueId weight = graph.input(id, weight_slot(*target));
    if (layer.rule == nullptr) {
      layer.reason = "no rule is about it";
    } else if (!layer.rule->config) {
      layer.reason = "left in float by the rule";
    } else if (layer.reason = obstacle(graph, weight); !layer.reason.empty()) {
      layer.unintended = true;
    } else {
      auto grouped = grouping(layer.config(), graph.value(weight).type.shape[1]);
      if (!grouped) return std::move(grouped).failure().at("{}", graph.describe(id));
      layer.grouping = *std::move(grouped);
      if (!layer.grouping.quantized) layer.reason = layer.grouping.reason;
    }
    out.push_back(std::move(layer));
  }
  return out;
}

ReportLine report_line(const ir::Graph& graph, const FoundLayer& layer, const std::string& rule) {
  ReportLine line;
  const ir::Node& node = graph.node(layer.node);
  line.name = module_or_node(node);
  line.node = node.name;
  line.kind = layer.target == Target::linear ? "linear" : "embedding";
  line.rule = rule;
  line.reason = layer.reason;
  if (layer.reason.empty())
    describe(line, layer.config(), layer.grouping,
             graph.value(graph.input(layer.node, weight_slot(layer.target))).type.shape[1]);
  return line;
}

void describe(ReportLine& line, const LayerConfig& config, const Grouping& grouping, int64_t columns) {
  line.quantized = grouping.quantized;
  line.reason = grouping.reason;
  if (!line.quantized) return;
  line.bits = config.bits;
  line.group = grouping.group;
  line.padding = grouping.columns - columns;
  line.dynamic_activations = config.dynamic_activations;
  line.algorithm = name(config.algorithm);
}

void replace_constant(ir::Graph& graph, ir::NodeId node, uint32_t slot, Tensor tensor,
                      std::shared_ptr<const QParams> qparams) {
  const ir::ValueId old = graph.input(node, slot);
  if (graph.value(old).users.size() > 1 || graph.is_graph_output(old)) {
    const std::string name = graph.value(old).name;
    graph.set_input(node, slot, graph.add_constant(name, std::move(tensor), std::move(qparams)));
    return;
  }
  ir::Value& value = graph.value(old);
  value.type = {tensor.dtype(), tensor.shape(), std::move(qparams)};
  value.constant = std::move(tensor);
}

Result<std::vector<ir::NodeId>> install(ir::Graph& graph, const FoundLayer& layer, LayerOutput output) {
  const ir::NodeId id = layer.node;
  const int64_t columns = graph.value(graph.input(id, weight_slot(layer.target))).type.shape[1];
  const int64_t padding = layer.grouping.columns - columns;
  std::vector<ir::NodeId> run{id};
  if (padding > 0 && layer.target == Target::linear) {
    const ir::ValueId x = graph.input(id, 0);
    QUOIN_TRY(const ir::NodeId pad, graph.add_node("aten.pad.default", {x}, {{"pad", std::vector<int64_t>{0, padding}}},
                                                   graph.node(id).name + "_padded", provenance_of(graph, id), id));
    graph.value(graph.output(pad)).dynamic = graph.value(x).dynamic;
    graph.set_input(id, 0, graph.output(pad));
    run.insert(run.begin(), pad);
  }
  replace_constant(graph, id, weight_slot(layer.target), std::move(output.weight.codes),
                   std::move(output.weight.qparams));
  if (output.bias) replace_constant(graph, id, 2, *std::move(output.bias));
  if (layer.config().dynamic_activations) {
    ir::Node& node = graph.node(id);
    node.schema = find_op("quoin.linear_dynamic.default");
    QUOIN_TRY(node.attrs, complete_attrs(*node.schema, {{"scheme", std::string("token")}}));
  }
  if (padding == 0 || layer.target == Target::linear) return run;
  const ir::ValueId rows = graph.output(id);
  graph.value(rows).type.shape.back() += padding;
  const auto& order = graph.order();
  const auto next = std::find(order.begin(), order.end(), id) + 1;
  QUOIN_TRY(const ir::NodeId cut,
            graph.add_node("aten.slice.Tensor", {rows}, {{"dim", int64_t{-1}}, {"start", int64_t{0}}, {"end", columns}},
                           graph.node(id).name, provenance_of(graph, id), next == order.end() ? ir::kNone : *next));
  graph.value(graph.output(cut)).dynamic = graph.value(rows).dynamic;
  graph.replace_uses(rows, graph.output(cut), [&](const ir::Use& use) { return use.node != cut; });
  run.push_back(cut);
  return run;
}

}  // namespace quoin::source
