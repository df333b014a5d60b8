#include "conform/rewire.hpp"

#include <unordered_map>

namespace quoin::conform {
namespace {

// Copies a graph node by node into a new one.
class Copier {
 public:
  explicit Copier(const ir::Graph& source) : source_(source) { out_.name = source.name; }

  void inputs(const std::vector<Shape>& shapes) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      const ir::ValueId id = source_.inputs()[i];
      TensorType type = source_.value(id).type;
      type.shape = shapes[i];
      to_[id] = out_.add_input(source_.value(id).name, std::move(type));
    }
  }

  Status node(ir::NodeId id) {
    const ir::Node& node = source_.node(id);
    std::vector<ir::ValueId> inputs;
    for (const ir::ValueId input : node.inputs) inputs.push_back(input == ir::kNone ? ir::kNone : value(input));
    std::vector<std::string> names;
    for (const ir::ValueId output : node.outputs) names.push_back(source_.value(output).name);
    QUOIN_TRY(const ir::NodeId made,
              out_.add_named_node(node.op(), std::move(inputs), node.attrs, names, ir::provenance(node)));
    for (uint32_t slot = 0; slot < node.outputs.size(); ++slot) {
      const TensorType& type = source_.value(node.outputs[slot]).type;
      ir::Value& copy = out_.value(out_.output(made, slot));
      copy.type.dtype = type.dtype;
      copy.type.qparams = type.qparams;
      to_[node.outputs[slot]] = out_.output(made, slot);
    }
    return {};
  }

  ir::Graph finish() {
    std::vector<ir::ValueId> outputs;
    for (const ir::ValueId id : source_.outputs()) outputs.push_back(value(id));
    out_.set_outputs(std::move(outputs));
    return std::move(out_);
  }

 private:
  // Everything but constants was made before.
  ir::ValueId value(ir::ValueId id) {
    if (const auto found = to_.find(id); found != to_.end()) return found->second;
    const ir::Value& constant = source_.value(id);
    return to_[id] = out_.add_constant(constant.name, *constant.constant, constant.type.qparams);
  }

  const ir::Graph& source_;
  ir::Graph out_;
  std::unordered_map<ir::ValueId, ir::ValueId> to_;
};

std::vector<ir::NodeId> random_order(const ir::Graph& graph, Dice& dice) {
  std::unordered_map<ir::NodeId, size_t> missing;  // results of other nodes that are not there yet
  std::vector<ir::NodeId> ready, out;
  for (const ir::NodeId id : graph.order()) {
    for (const ir::ValueId input : graph.node(id).inputs)
      if (input != ir::kNone && graph.value(input).producer != ir::kNone) ++missing[id];
    if (missing[id] == 0) ready.push_back(id);
  }
  while (!ready.empty()) {
    const size_t at = dice.below(ready.size());
    const ir::NodeId id = ready[at];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(at));
    out.push_back(id);
    for (const ir::ValueId output : graph.node(id).outputs)
      for (const ir::Use& use : graph.value(output).users)
        if (--missing[use.node] == 0) ready.push_back(use.node);
  }
  return out;
}

}  // namespace

ir::Graph shuffled(const ir::Graph& graph, Dice& dice) {
  Copier copier(graph);
  copier.inputs(input_shapes(graph));
  for (const ir::NodeId id : random_order(graph, dice))
    if (!copier.node(id)) return graph;  // cannot be: every node was legal where it came from
  return copier.finish();
}

Result<ir::Graph> resized(const ir::Graph& graph, const std::vector<Shape>& inputs) {
  Copier copier(graph);
  copier.inputs(inputs);
  for (const ir::NodeId id : graph.order()) QUOIN_CHECK(copier.node(id));
  return copier.finish();
}

std::vector<Shape> input_shapes(const ir::Graph& graph) {
  std::vector<Shape> out;
  for (const ir::ValueId id : graph.inputs()) out.push_back(graph.value(id).type.shape);
  return out;
}

}  // namespace quoin::conform
