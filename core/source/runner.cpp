#include "source/runner.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace quoin::source {
namespace {

// The node alone: what it reads and does not know are the inputs, in order.
struct Alone {
  ir::Graph graph;
  std::vector<ir::ValueId> inputs;  // of the whole graph
};

// `stacked`: how many times the first dim of an input is as large.
Result<Alone> alone(const ir::Graph& from, ir::NodeId id, int64_t stacked = 1) {
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
      TensorType type = value.type;
      if (stacked != 1) type.shape[0] *= stacked;
      made[operand] = out.graph.add_input(value.name, std::move(type));
      out.inputs.push_back(operand);
    }
    operands.push_back(made[operand]);
  }
  QUOIN_TRY(const ir::NodeId copy,
            out.graph.add_node(node.op(), std::move(operands), node.attrs, node.name, ir::provenance(node)));
  const auto& results = out.graph.node(copy).outputs;
  for (size_t i = 0; stacked == 1 && i < results.size(); ++i)
    out.graph.value(results[i]).type = from.value(node.outputs[i]).type;
  out.graph.set_outputs(results);
  return out;
}

constexpr size_t kStacked = 16;  // samples that run at once

// Whether the node has one input that is no constant, and its rows know nothing of each other.
bool works_by_rows(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  const bool by_token =
      node.op() == "quoin.linear_dynamic.default" && get_text(node.attrs, "granularity") == "per_token";
  if (!by_token && node.op() != "aten.linear.default") return false;
  const auto constant = [&](ir::ValueId value) { return value == ir::kNone || graph.is_constant(value); };
  return !constant(node.inputs[0]) && graph.value(node.inputs[0]).type.shape.size() > 1 &&
         std::all_of(node.inputs.begin() + 1, node.inputs.end(), constant);
}

Tensor stack(std::span<const Tensor> samples) {
  Shape shape = samples[0].shape();
  shape[0] *= static_cast<int64_t>(samples.size());
  Tensor out(samples[0].dtype(), shape);
  auto* to = static_cast<std::byte*>(out.data());
  for (const Tensor& sample : samples) {
    std::memcpy(to, sample.data(), sample.bytes());
    to += sample.bytes();
  }
  return out;
}

// `all` cut into tensors of `shape`.
std::vector<Tensor> unstack(const Tensor& all, const Shape& shape) {
  std::vector<Tensor> out;
  const auto* from = static_cast<const std::byte*>(all.data());
  const std::byte* end = from + all.bytes();
  while (from != end) {
    Tensor& made = out.emplace_back(all.dtype(), shape);
    std::memcpy(made.data(), from, made.bytes());
    from += made.bytes();
  }
  return out;
}

// Samples of a layer one behind the other, so that its weight is unpacked once for many.
Result<std::vector<Tensor>> run_stacked(const ir::Graph& graph, ir::NodeId id, std::span<const Tensor> samples,
                                        const kernels::KernelSet& kernels, const quoin_host& host) {
  QUOIN_TRY(const Alone node, alone(graph, id, static_cast<int64_t>(samples.size())));
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(node.graph, kernels, host));
  const std::vector<Tensor> inputs{stack(samples)};
  QUOIN_TRY(const auto outputs, interpreter.run(inputs));
  return unstack(outputs[0], graph.value(graph.output(id)).type.shape);
}

Result<std::vector<std::vector<Tensor>>> run_by_rows(const ir::Graph& graph, ir::NodeId id, const Stream& stream,
                                                     const kernels::KernelSet& kernels, const quoin_host& host) {
  const std::span<const Tensor> samples = stream.at(graph.input(id, 0));
  std::vector<std::vector<Tensor>> results(1);
  for (size_t first = 0; first < samples.size(); first += kStacked) {
    const size_t count = std::min(kStacked, samples.size() - first);
    QUOIN_TRY(auto outputs, run_stacked(graph, id, samples.subspan(first, count), kernels, host));
    std::ranges::move(outputs, std::back_inserter(results[0]));
  }
  return results;
}

}  // namespace

Result<std::vector<std::vector<Tensor>>> run_node(const ir::Graph& graph, ir::NodeId id, const Stream& stream,
                                                  const kernels::KernelSet& kernels, const quoin_host& host) {
  if (works_by_rows(graph, id)) return run_by_rows(graph, id, stream, kernels, host);
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
