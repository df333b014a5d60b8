// Puts new nodes in the place of an old one.
#pragma once

#include "passes/passes.hpp"

namespace quoin::passes {

// New nodes stand before the old one and inherit its name, modules, source and debug id. Without finish() the old node
// stays.
class Replacement {
 public:
  Replacement(ir::Graph& graph, ir::NodeId old) : graph_(graph), old_(old) {}
  const ir::Graph& graph() const { return graph_; }

  Result<ir::ValueId> step(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}) {
    const ir::Node& old = graph_.node(old_);
    const std::string base = old.name;
    QUOIN_TRY(const ir::NodeId id,
              graph_.add_node(op, std::move(inputs), std::move(attrs), base, ir::provenance(old), old_));
    return graph_.output(id);
  }
  ir::ValueId constant(Tensor tensor) {
    return graph_.add_constant(graph_.node(old_).name + "_constant", std::move(tensor));
  }
  ir::ValueId scalar(float value) { return constant(Tensor::of<float>(DType::f32, {}, std::span(&value, 1))); }
  // The old node's only result becomes `result`; the old node goes.
  void finish(ir::ValueId result) {
    graph_.replace_uses(graph_.output(old_), result);
    graph_.erase_node(old_);
  }

 private:
  ir::Graph& graph_;
  ir::NodeId old_;
};

}  // namespace quoin::passes
