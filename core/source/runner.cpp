#include "source/runner.hpp"

#include <algorithm>

namespace quoin::source {
namespace {

// The node alone: what it reads and does not know are the inputs, in order.
struct Alone {
  ir::Graph graph;
  std::vector<ir::ValueId> inputs;  // of the whole graph
};

Result<Alone> alone(const ir::Graph& from, ir::NodeId id) {
  Alone out;
  const ir::Node& node = from.node(id);
  std::map<ir::ValueId, ir::ValueId> made;
  std::vector<ir::ValueId> operands;
  for (const ir::ValueId operand : node.inputs) {
    if (operand == ir::kNone || made.contains(operand)) {
      operands.push_back(operand == ir::kNone ? ir::kNone : made[operand]);
      continue;
    }
    const ir::Value& value = from.value(operand);
    if (value.constant) {
      made[operand] = out.graph.add_constant(value.name, *value.constant, value.type.qparams);
    } else {
      made[operand] = out.graph.add_input(value.name, value.type);
      out.inputs.push_back(operand);
    }
    operands.push_back(made[operand]);
  }
  QUOIN_TRY(const ir::NodeId copy,
            out.graph.add_node(node.op(), std::move(operands), node.attrs, node.name, ir::provenance(node)));
  const auto& results = out.graph.node(copy).outputs;
  for (size_t i = 0; i < results.size(); ++i) out.graph.value(results[i]).type = from.value(node.outputs[i]).type;
  out.graph.set_outputs(results);
  return out;
}

}  // namespace

Result<std::vector<std::vector<Tensor>>> run_node(const ir::Graph& graph, ir::NodeId id, const Stream& stream,
                                                  const kernels::KernelSet& kernels, const quoin_host& host) {
  QUOIN_TRY(const Alone node, alone(graph, id));
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(node.graph, kernels, host));
  size_t samples = stream.empty() ? 0 : stream.begin()->second.size();
  std::vector<std::vector<Tensor>> results(node.graph.outputs().size());
  for (size_t sample = 0; sample < samples; ++sample) {
    std::vector<Tensor> inputs;
    for (const ir::ValueId input : node.inputs) inputs.push_back(stream.at(input)[sample]);
    QUOIN_TRY(auto outputs, interpreter.run(inputs));
    for (size_t i = 0; i < outputs.size(); ++i) results[i].push_back(std::move(outputs[i]));
  }
  return results;
}

}  // namespace quoin::source
