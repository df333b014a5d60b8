#include "quantize/existing.hpp"

#include "quantize/qdq.hpp"

namespace quoin::quantize {
namespace {

Spec known(QParams qparams) {
  Spec spec;
  spec.kind = SpecKind::fixed;
  spec.dtype = qparams.dtype;
  spec.scheme = qparams.scheme;
  spec.axis = qparams.axis;
  spec.group = qparams.group;
  spec.block = qparams.block;
  spec.qmin = qparams.qmin;
  spec.qmax = qparams.qmax;
  spec.scale = qparams.scale[0];
  spec.zero_point = qparams.zero_point_at(0);
  spec.implicit_sharing = false;
  spec.existing = std::make_shared<const QParams>(std::move(qparams));
  return spec;
}

Spec known(const DynamicChain& chain) {
  const std::string_view scheme = chain.scheme;
  Spec spec;
  spec.dynamic = true;
  spec.scheme = std::string_view(chain.granularity) == "per_token" ? Scheme::per_token : Scheme::per_tensor;
  spec.qmin = static_cast<int32_t>(chain.qmin);
  spec.qmax = static_cast<int32_t>(chain.qmax);
  spec.symmetric = scheme == "symmetric" || scheme == "token_symmetric";
  spec.eps = chain.eps;
  spec.implicit_sharing = false;
  spec.existing = std::make_shared<const QParams>();
  return spec;
}

// Of a value that `dequantize` makes.
Result<std::optional<Spec>> dequantized(const ir::Graph& graph, ir::NodeId dequantize) {
  QUOIN_TRY(auto found, read_qdq(graph, dequantize));
  if (found && found->kind == QdqKind::dequantize) return std::optional(known(std::move(found->qparams)));
  const auto chain = read_dynamic(graph, dequantize);
  return chain ? std::optional(known(*chain)) : std::optional<Spec>();
}

// Of a value that only quantize nodes read.
Result<std::optional<Spec>> quantized(const ir::Graph& graph, ir::ValueId id) {
  std::optional<Spec> out;
  if (graph.is_graph_output(id)) return out;
  for (const ir::Use& use : graph.value(id).users) {
    QUOIN_TRY(auto found, read_qdq(graph, use.node));
    if (!found || found->kind != QdqKind::quantize) return std::optional<Spec>();
    if (!out) out = known(std::move(found->qparams));
  }
  return out;
}

}  // namespace

Result<std::optional<Spec>> existing_spec(const ir::Graph& graph, ir::Place place) {
  const ir::Node& node = graph.node(place.node);
  const auto& values = place.output ? node.outputs : node.inputs;
  const ir::ValueId value = place.slot < values.size() ? values[place.slot] : ir::kNone;
  if (value == ir::kNone) return std::optional<Spec>();
  if (place.output) return quantized(graph, value);
  const ir::NodeId producer = graph.value(value).producer;
  return producer == ir::kNone ? std::optional<Spec>() : dequantized(graph, producer);
}

}  // namespace quoin::quantize
