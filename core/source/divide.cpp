#include "source/divide.hpp"

#include <algorithm>
#include <array>

#include "source/weights.hpp"

namespace quoin::source {
namespace {

// Norms over the last axis that end with a factor per column, and a summand.
constexpr std::array<std::string_view, 2> kNorms{"aten.rms_norm.default", "aten.layer_norm.default"};
constexpr uint32_t kNormWeight = 1, kNormBias = 2;

Tensor divided(const Tensor& tensor, const Vector& factor) {
  Tensor out(DType::f32, tensor.shape());
  const auto from = tensor.as<float>();
  for (size_t i = 0; i < from.size(); ++i)
    out.as<float>()[i] = static_cast<float>(static_cast<double>(from[i]) / factor(static_cast<Eigen::Index>(i)));
  return out;
}

bool is_row(const ir::Graph& graph, ir::ValueId id, int64_t columns) {
  return graph.is_constant(id) && graph.value(id).type.dtype == DType::f32 &&
         graph.value(id).type.shape == Shape{columns};
}

}  // namespace

bool takes_division(const ir::Graph& graph, ir::ValueId value, std::span<const ir::NodeId> readers) {
  const ir::Value& of = graph.value(value);
  if (of.producer == ir::kNone || graph.is_graph_output(value)) return false;
  if (std::ranges::find(kNorms, graph.node(of.producer).op()) == kNorms.end()) return false;
  if (!is_row(graph, graph.input(of.producer, kNormWeight), of.type.shape.back())) return false;
  const ir::ValueId bias = graph.input(of.producer, kNormBias);
  if (bias != ir::kNone && !is_row(graph, bias, of.type.shape.back())) return false;
  return std::ranges::all_of(of.users, [&](const ir::Use& use) {
    return use.slot == 0 && std::ranges::find(readers, use.node) != readers.end();
  });
}

Result<ir::ValueId> divide_input(ir::Graph& graph, ir::ValueId value, std::span<const ir::NodeId> readers,
                                 const Vector& factor) {
  const bool taken = takes_division(graph, value, readers);
  const ir::NodeId norm = graph.value(value).producer;
  for (const ir::NodeId reader : readers) {
    const uint32_t slot = weight_slot(Target::linear);
    replace_constant(graph, reader, slot, scaled_columns(*graph.value(graph.input(reader, slot)).constant, factor));
  }
  if (taken) {
    for (const uint32_t slot : {kNormWeight, kNormBias})
      if (const ir::ValueId row = graph.input(norm, slot); row != ir::kNone)
        replace_constant(graph, norm, slot, divided(*graph.value(row).constant, factor));
    return value;
  }
  Tensor ones(DType::f32, {factor.size()});
  std::ranges::fill(ones.as<float>(), 1.0f);
  const ir::NodeId first = readers.front();
  const std::string name = graph.node(first).name + "_input";
  const ir::ValueId inverse = graph.add_constant(name + "_scale", divided(ones, factor));
  QUOIN_TRY(const ir::NodeId product,
            graph.add_node("aten.mul.Tensor", {value, inverse}, {}, name, ir::provenance(graph.node(first)), first));
  const ir::ValueId result = graph.output(product);
  graph.value(result).dynamic = graph.value(value).dynamic;
  for (const ir::NodeId reader : readers) graph.set_input(reader, 0, result);
  return result;
}

}  // namespace quoin::source
