#include "lower/build.hpp"

namespace quoin::lower {

uint32_t ProgramBuilder::value(ir::ValueId id) {
  if (id == ir::kNone) return program::kNone;
  const auto [at, is_new] = index_.try_emplace(id, static_cast<uint32_t>(out_.values.size()));
  if (is_new) {
    const ir::Value& from = graph_.value(id);
    out_.values.push_back({from.name, from.type, from.constant, 0, from.dynamic});
  }
  return at->second;
}

std::vector<uint32_t> ProgramBuilder::values(const std::vector<ir::ValueId>& ids) {
  std::vector<uint32_t> out;
  out.reserve(ids.size());
  for (const ir::ValueId id : ids) out.push_back(value(id));
  return out;
}

void ProgramBuilder::add_node(ir::NodeId id) {
  const ir::Node& from = graph_.node(id);
  program::Node node;
  node.op = from.op();
  node.inputs = values(from.inputs);
  node.outputs = values(from.outputs);
  node.attrs = from.attrs;
  node.name = from.name;
  node.module = from.module_path();
  node.debug_id = from.debug_id;
  out_.nodes.push_back(std::move(node));
}

void ProgramBuilder::set_states() {
  for (const ir::State& state : graph_.states)
    out_.states.push_back({state.name, state.input, state.output, why_copied(graph_, state).empty()});
}

std::string why_copied(const ir::Graph& graph, const ir::State& state) {
  const ir::ValueId before = graph.inputs()[state.input], after = graph.outputs()[state.output];
  if (before == after) return "nothing updates it";
  const ir::Value& old_value = graph.value(before);
  const ir::NodeId maker = graph.value(after).producer;
  if (old_value.users.size() != 1 || old_value.users[0].node != maker)
    return "what it held before the update is read elsewhere, too";
  const auto& [node, slot] = old_value.users[0];
  const bool updates = slot < graph.node(node).schema->traits.updates && graph.output(node, slot) == after;
  return updates ? "" : graph.describe(node) + " does not update in place";
}

void ProgramBuilder::add_call(uint32_t delegate, std::string name, const std::vector<ir::ValueId>& inputs,
                              const std::vector<ir::ValueId>& outputs) {
  program::Node node;
  node.delegate = delegate;
  node.inputs = values(inputs);
  node.outputs = values(outputs);
  node.name = std::move(name);
  out_.nodes.push_back(std::move(node));
}

}  // namespace quoin::lower
