#include "one_node.hpp"

#include <algorithm>
#include <cstdlib>

#include "quantize/group_qparams.hpp"

namespace quoin::property {
namespace {

template <class T>
int64_t distance(const Tensor& a, const Tensor& b) {
  const auto x = a.as<T>(), y = b.as<T>();
  int64_t largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(int64_t{x[i]} - int64_t{y[i]}));
  return largest;
}

Result<int64_t> distance(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape())
    return fail(Code::internal, "{}{} and {}{}", name(a.dtype()), to_string(a.shape()), name(b.dtype()),
                to_string(b.shape()));
  switch (a.dtype()) {
    case DType::s8:
      return distance<int8_t>(a, b);
    case DType::u8:
      return distance<uint8_t>(a, b);
    case DType::s16:
      return distance<int16_t>(a, b);
    case DType::u16:
      return distance<uint16_t>(a, b);
    case DType::s32:
      return distance<int32_t>(a, b);
    default:
      return fail(Code::internal, "codes of type {}", name(a.dtype()));
  }
}

}  // namespace

bool computes_on_integers(const ir::Graph& typed, ir::NodeId id) {
  return typed.value(typed.output(id)).type.qparams != nullptr && !typed.node(id).op().starts_with("quoin.");
}

Result<int64_t> steps_from_real(const ir::Graph& typed, ir::NodeId id, const std::map<ir::ValueId, Tensor>& seen,
                                const quoin_host& host) {
  const ir::Node& node = typed.node(id);
  ir::Graph graph;
  std::vector<Tensor> inputs;
  std::vector<ir::ValueId> operands;
  for (const ir::ValueId input : node.inputs) {
    operands.push_back(ir::kNone);
    if (input == ir::kNone) continue;
    const ir::Value& value = typed.value(input);
    inputs.push_back(value.constant ? *value.constant : seen.at(input));
    operands.back() = graph.add_input("x", value.type);
    if (!value.type.qparams) continue;
    QUOIN_TRY(const ir::NodeId real, graph.add_node("quoin.dequantize.default", {operands.back()}, {}));
    operands.back() = graph.output(real);
  }
  QUOIN_TRY(const ir::NodeId only, graph.add_node(node.op(), std::move(operands), node.attrs));
  graph.set_outputs({graph.output(only)});
  const kernels::KernelSet kernels;
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels, host));
  QUOIN_TRY(const std::vector<Tensor> results, interpreter.run(inputs));
  const ir::ValueId output = typed.output(id);
  QUOIN_TRY(const Tensor expected, quantize::quantize_constant(results[0], *typed.value(output).type.qparams));
  return distance(expected, seen.at(output));
}

}  // namespace quoin::property
