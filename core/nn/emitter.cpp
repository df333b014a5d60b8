#include "nn/emitter.hpp"

namespace quoin::nn {

Emitter::Scope::Scope(Emitter& emitter, const Module& module) : emitter_(emitter) {
  emitter_.modules_.push_back({module.path(), module.type()});
}

Result<std::vector<ir::ValueId>> Emitter::add_all(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs) {
  ir::Provenance provenance;
  provenance.modules = modules_;
  provenance.debug_id = graph.order().size() + 1;
  QUOIN_TRY(const ir::NodeId node, graph.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance)));
  return graph.node(node).outputs;
}

Result<ir::ValueId> Emitter::add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs) {
  QUOIN_TRY(const auto results, add_all(op, std::move(inputs), std::move(attrs)));
  return results[0];
}

Result<ir::ValueId> Emitter::constant(const Parameter& parameter) {
  if (parameter.quantized)
    return graph.add_constant(parameter.name, parameter.quantized->codes, parameter.quantized->qparams);
  QUOIN_TRY(Tensor tensor, parameter.load());
  const void* bytes = tensor.data();
  const auto found = floats_.find(bytes);
  if (found != floats_.end()) return found->second;
  return floats_[bytes] = graph.add_constant(parameter.name, std::move(tensor));
}

}  // namespace quoin::nn
