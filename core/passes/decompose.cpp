#include <array>
#include <cmath>

#include "passes/replacement.hpp"

namespace quoin::passes {
namespace {

using ir::NodeId, ir::ValueId;

using Build = Result<ValueId> (*)(Replacement&, const ir::Node&);

// Every node of `op` on f32 that the filter allows becomes what `build` makes of it; kNone from build: it stays.
Status rewrite(ir::Graph& graph, std::string_view op, const NodeFilter& filter, Build build) {
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const ir::Node node = graph.node(id);  // a copy: new nodes move the old ones
    if (node.op() != op || !allowed(filter, graph, id)) continue;
    if (graph.value(node.inputs[0]).type.dtype != DType::f32 || graph.value(node.inputs[0]).type.qparams) continue;
    Replacement replacement(graph, id);
    QUOIN_TRY(const ValueId result, build(replacement, node));
    if (result != ir::kNone) replacement.finish(result);
  }
  return {};
}

Result<ValueId> hardsigmoid(Replacement& r, ValueId x) {
  QUOIN_TRY(const ValueId shifted, r.step("aten.add.Tensor", {x, r.scalar(3.0f)}));
  QUOIN_TRY(const ValueId clamped, r.step("aten.hardtanh.default", {shifted}, {{"min_val", 0.0}, {"max_val", 6.0}}));
  return r.step("aten.mul.Tensor", {clamped, r.scalar(1.0f / 6.0f)});
}

// The f32 constant that the operand is, or null.
const Tensor* constant(const ir::Graph& graph, ValueId id) {
  const auto& value = graph.value(id);
  return value.constant && value.type.dtype == DType::f32 && !value.type.qparams ? &*value.constant : nullptr;
}

Tensor mapped(const Tensor& from, auto function) {
  Tensor out(DType::f32, from.shape());
  const auto source = from.as<float>();
  const auto target = out.as<float>();
  std::transform(source.begin(), source.end(), target.begin(), function);
  return out;
}

Result<ValueId> subtract_constant(Replacement& r, const ir::Node& node) {
  const Tensor* c = constant(r.graph(), node.inputs[1]);
  if (c == nullptr) return ir::kNone;
  const auto alpha = static_cast<float>(get_number(node.attrs, "alpha"));
  const ValueId negative = r.constant(mapped(*c, [&](float x) { return -(alpha * x); }));
  return r.step("aten.add.Tensor", {node.inputs[0], negative});
}

Result<ValueId> divide_by_constant(Replacement& r, const ir::Node& node) {
  const Tensor* c = constant(r.graph(), node.inputs[1]);
  if (c == nullptr) return ir::kNone;
  Tensor factors = mapped(*c, [](float x) { return 1.0f / x; });
  const auto values = std::as_const(factors).as<float>();
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isnormal(x); })) return ir::kNone;
  return r.step("aten.mul.Tensor", {node.inputs[0], r.constant(std::move(factors))});
}

Result<ValueId> pool_instead_of_mean(Replacement& r, const ir::Node& node) {
  const TensorType& type = r.graph().value(node.inputs[0]).type;
  if (type.shape.size() != 4 || !has(node.attrs, "dim") || !get_bool(node.attrs, "keepdim")) return ir::kNone;
  if (r.graph().value(node.outputs[0]).type.dtype != DType::f32) return ir::kNone;
  std::vector<int64_t> dims = get_ints(node.attrs, "dim");
  for (int64_t& dim : dims) dim = dim < 0 ? dim + 4 : dim;
  std::sort(dims.begin(), dims.end());
  if (dims != std::vector<int64_t>{2, 3}) return ir::kNone;
  return r.step("aten.adaptive_avg_pool2d.default", {node.inputs[0]}, {{"output_size", std::vector<int64_t>{1, 1}}});
}

}  // namespace

Status decompose_hardsigmoid(ir::Graph& graph, const NodeFilter& filter) {
  return rewrite(graph, "aten.hardsigmoid.default", filter,
                 [](Replacement& r, const ir::Node& node) { return hardsigmoid(r, node.inputs[0]); });
}

Status decompose_hardswish(ir::Graph& graph, const NodeFilter& filter) {
  return rewrite(graph, "aten.hardswish.default", filter, [](Replacement& r, const ir::Node& node) -> Result<ValueId> {
    QUOIN_TRY(const ValueId gate, hardsigmoid(r, node.inputs[0]));
    return r.step("aten.mul.Tensor", {node.inputs[0], gate});
  });
}

Status decompose_silu(ir::Graph& graph, const NodeFilter& filter) {
  return rewrite(graph, "aten.silu.default", filter, [](Replacement& r, const ir::Node& node) -> Result<ValueId> {
    QUOIN_TRY(const ValueId gate, r.step("aten.sigmoid.default", {node.inputs[0]}));
    return r.step("aten.mul.Tensor", {node.inputs[0], gate});
  });
}

Status constant_arithmetic(ir::Graph& graph, const NodeFilter& filter) {
  QUOIN_CHECK(rewrite(graph, "aten.sub.Tensor", filter, subtract_constant));
  return rewrite(graph, "aten.div.Tensor", filter, divide_by_constant);
}

Status mean_to_pool(ir::Graph& graph, const NodeFilter& filter) {
  return rewrite(graph, "aten.mean.dim", filter, pool_instead_of_mean);
}

}  // namespace quoin::passes
