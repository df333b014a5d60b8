#include "kernels/node_view.hpp"

#include "ops/qparams.hpp"

namespace quoin::kernels {
namespace {

std::string text(const quoin_str& str) { return std::string(str.data, str.size); }

template <class T>
std::vector<T> list(const quoin_param& param) {
  const auto* first = static_cast<const T*>(param.data);
  return std::vector<T>(first, first + param.count);
}

Result<Attr> to_attr(const quoin_param& param) {
  const bool single = param.count == 1;
  switch (param.kind) {
    case QUOIN_PARAM_BOOL:
      if (single) return *static_cast<const uint8_t*>(param.data) != 0;
      break;
    case QUOIN_PARAM_INT:
      if (single) return *static_cast<const int64_t*>(param.data);
      return list<int64_t>(param);
    case QUOIN_PARAM_FLOAT:
      if (single) return *static_cast<const double*>(param.data);
      return list<double>(param);
    case QUOIN_PARAM_STR:
      if (single) return text(*static_cast<const quoin_str*>(param.data));
      break;
    default:
      break;
  }
  return fail(Code::model, "attribute {} has kind {} with {} items", text(param.name), param.kind, param.count);
}

Result<QParams> to_qparams(const quoin_qparams& view) {
  const auto storage = dtype_from_code(view.dtype);
  if (!storage || view.scheme > QUOIN_PER_BLOCK || view.count == 0 || view.scale == nullptr)
    return fail(Code::model, "qparams with dtype {}, scheme {} and {} scales", view.dtype, view.scheme, view.count);
  QParams out{*storage, static_cast<Scheme>(view.scheme), view.axis, view.group, view.qmin, view.qmax, {}, {}};
  out.scale.assign(view.scale, view.scale + view.count);
  if (view.block_rank > 0) out.block.assign(view.block, view.block + view.block_rank);
  if (view.zero_point != nullptr) out.zero_point.assign(view.zero_point, view.zero_point + view.count);
  return out;
}

Result<TensorType> to_type(const quoin_graph& graph, uint32_t id) {
  if (id >= graph.values.count) return fail(Code::model, "value id {} of {}", id, graph.values.count);
  const auto value = element<quoin_value>(graph.values, id);
  const auto dtype = dtype_from_code(value.dtype);
  if (!dtype) return fail(Code::model, "value {} has unknown dtype {}", text(value.name), value.dtype);
  TensorType out{*dtype, Shape(value.dims, value.dims + value.rank), nullptr};
  if (auto count = checked_numel(out.shape); !count)
    return fail(in("value " + text(value.name), std::move(count).error()));
  if (value.qparams != nullptr) {
    QUOIN_TRY(QParams qparams, to_qparams(*value.qparams));
    out.qparams = std::make_shared<const QParams>(std::move(qparams));
  }
  return out;
}

Status read_types(const quoin_graph& graph, const quoin_node& node, NodeView& view) {
  view.inputs.resize(std::max<size_t>(node.num_inputs, view.schema->variadic ? 0 : view.schema->inputs.size()));
  for (uint32_t i = 0; i < node.num_inputs; ++i) {
    if (node.inputs[i] == QUOIN_NONE) continue;
    QUOIN_TRY(view.inputs[i], to_type(graph, node.inputs[i]));
  }
  for (uint32_t i = 0; i < node.num_outputs; ++i) {
    QUOIN_TRY(TensorType type, to_type(graph, node.outputs[i]));
    view.outputs.push_back(std::move(type));
  }
  return {};
}

Status check_types(const NodeView& view, uint32_t given) {
  std::vector<const TensorType*> operands;
  for (uint32_t i = 0; i < given; ++i) operands.push_back(view.inputs[i] ? &*view.inputs[i] : nullptr);
  QUOIN_TRY(const auto types, infer_types(*view.schema, operands, view.attrs));
  if (types.size() != view.outputs.size())
    return fail(Code::model, "{} results, expected {}", view.outputs.size(), types.size());
  for (size_t i = 0; i < types.size(); ++i)
    if (logical(view.outputs[i]) != types[i])
      return fail(Code::model, "result {} is {}, expected {}", i, to_string(logical(view.outputs[i])),
                  to_string(types[i]));
  return {};
}

}  // namespace

Result<NodeView> view_node(const quoin_graph& graph, uint32_t index) {
  if (index >= graph.nodes.count) return fail(Code::model, "node {} of {}", index, graph.nodes.count);
  const auto node = element<quoin_node>(graph.nodes, index);
  NodeView view;
  view.schema = find_op(std::string_view(node.op.data, node.op.size));
  if (view.schema == nullptr) return fail(Code::unsupported, "operator {} is not known", text(node.op));
  Attrs attrs;
  for (uint32_t i = 0; i < node.attrs.count; ++i) {
    const auto param = element<quoin_param>(node.attrs, i);
    QUOIN_TRY(Attr attr, to_attr(param));
    attrs.emplace(text(param.name), std::move(attr));
  }
  QUOIN_TRY(view.attrs, complete_attrs(*view.schema, std::move(attrs)));
  QUOIN_CHECK(read_types(graph, node, view));
  QUOIN_CHECK(check_types(view, node.num_inputs));
  return view;
}

}  // namespace quoin::kernels
