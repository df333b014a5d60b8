#include "passes/passes.hpp"

namespace quoin::passes {
namespace {

constexpr size_t kMaxGrowth = size_t{1} << 20;  // bytes a folded result may exceed its operands by
// All folded results together: a few copies of the model's own constants, so that a chain of nodes that doubles its
// operand each time (concatenation with itself) ends.
constexpr size_t kMaxCopies = 4, kMinBudget = size_t{64} << 20;

size_t folding_budget(const ir::Graph& graph) {
  size_t bytes = 0;
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.value(id).alive && graph.is_constant(id)) bytes += graph.value(id).constant->bytes();
  return kMaxCopies * bytes + kMinBudget;
}

// Bytes of the result, which has a single one.
size_t result_bytes(const ir::Graph& graph, const ir::Node& node) {
  const TensorType& result = graph.value(node.outputs[0]).type;
  return static_cast<size_t>(byte_size(result.dtype, result.shape));
}

bool foldable(const ir::Graph& graph, const ir::Node& node) {
  if (node.op().find(".dequantize_") != std::string::npos || node.outputs.size() != 1) return false;
  size_t operand_bytes = 0;
  for (const ir::ValueId input : node.inputs) {
    if (input == ir::kNone) continue;
    if (!graph.is_constant(input) || graph.value(input).type.qparams) return false;
    operand_bytes += graph.value(input).constant->bytes();
  }
  return !graph.value(node.outputs[0]).type.qparams && result_bytes(graph, node) <= operand_bytes + kMaxGrowth;
}

// Runs one node on its own, with its constant operands as inputs.
Result<Tensor> evaluate(const ir::Graph& graph, const ir::Node& node, const kernels::KernelSet& kernels,
                        const quoin_host& host) {
  ir::Graph single;
  std::vector<ir::ValueId> operands;
  std::vector<Tensor> tensors;
  for (const ir::ValueId input : node.inputs) {
    operands.push_back(input == ir::kNone ? ir::kNone
                                          : single.add_input(graph.value(input).name, graph.value(input).type));
    if (input != ir::kNone) tensors.push_back(*graph.value(input).constant);
  }
  QUOIN_TRY(const ir::NodeId id, single.add_node(node.op(), operands, node.attrs, node.name));
  single.set_outputs({single.output(id)});
  QUOIN_TRY(interpret::Interpreter interpreter, interpret::Interpreter::create(single, kernels, host));
  QUOIN_TRY(std::vector<Tensor> results, interpreter.run(tensors));
  return std::move(results[0]);
}

}  // namespace

Status fold_constants(ir::Graph& graph, const kernels::KernelSet& kernels, const quoin_host& host) {
  const std::vector<ir::NodeId> order = graph.order();
  size_t budget = folding_budget(graph);
  for (const ir::NodeId id : order) {
    const ir::Node& node = graph.node(id);
    if (!foldable(graph, node)) continue;
    const size_t bytes = result_bytes(graph, node);
    if (bytes > budget) continue;
    budget -= bytes;
    auto folded = evaluate(graph, node, kernels, host);
    if (!folded) return std::move(folded).failure().at("fold constants: {}", graph.describe(id));
    const ir::ValueId result = node.outputs[0];
    const ir::ValueId constant = graph.add_constant(node.name + "_folded", *std::move(folded));
    graph.replace_uses(result, constant);
    graph.erase_node(id);
  }
  return {};
}

}  // namespace quoin::passes
