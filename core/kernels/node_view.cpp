#include "kernels/node_view.hpp"

#include "ops/qparams.hpp"

namespace quoin::kernels {
namespace {

template <class T>
const T* items(const quoin_param& param) {
  return static_cast<const T*>(param.data);
}

// One item is a value, several are a list.
template <class T>
Attr value_or_list(const quoin_param& param) {
  const T* first = items<T>(param);
  if (param.count == 1) return *first;
  return std::vector<T>(first, first + param.count);
}

Result<Attr> to_attr(const quoin_param& param) {
  const bool single = param.count == 1;
  if (param.kind == QUOIN_PARAM_BOOL && single) return *items<uint8_t>(param) != 0;
  if (param.kind == QUOIN_PARAM_INT) return value_or_list<int64_t>(param);
  if (param.kind == QUOIN_PARAM_FLOAT) return value_or_list<double>(param);
  if (param.kind == QUOIN_PARAM_STR && single) return text(*items<quoin_str>(param));
  return fail(Code::model, "attribute {} has kind {} with {} items", text(param.name), param.kind, param.count);
}

Status read_qparams(const quoin_qparams& view, QParams& out) {
  const auto storage = dtype_from_code(view.dtype);
  if (!storage || view.scheme > QUOIN_PER_BLOCK || view.count == 0 || view.scale == nullptr)
    return fail(Code::model, "qparams with dtype {}, scheme {} and {} scales", view.dtype, view.scheme, view.count);
  out.dtype = *storage;
  out.scheme = static_cast<Scheme>(view.scheme);
  out.axis = view.axis;
  out.group = view.group;
  out.qmin = view.qmin;
  out.qmax = view.qmax;
  out.scale.assign(view.scale, view.scale + view.count);
  if (view.block_rank > 0) out.block.assign(view.block, view.block + view.block_rank);
  if (view.zero_point != nullptr) out.zero_point.assign(view.zero_point, view.zero_point + view.count);
  return {};
}

Status read_type(const quoin_value& value, TensorType& out) {
  const auto dtype = dtype_from_code(value.dtype);
  if (!dtype) return fail(Code::model, "value {} has unknown dtype {}", text(value.name), value.dtype);
  out.dtype = *dtype;
  out.shape.assign(value.dims, value.dims + value.rank);
  QUOIN_CHECK_AT(checked_numel(out.shape), "value {}", text(value.name));
  if (value.qparams == nullptr) return {};
  const auto qparams = std::make_shared<QParams>();
  out.qparams = qparams;
  return read_qparams(*value.qparams, *qparams);
}

// One type per id; QUOIN_NONE: null.
Status read_types(const quoin_graph& graph, std::span<const uint32_t> ids, NodeView& view,
                  std::vector<const TensorType*>& out) {
  out.resize(std::max(out.size(), ids.size()));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == QUOIN_NONE) continue;
    if (ids[i] >= graph.values.count) return fail(Code::model, "value id {} of {}", ids[i], graph.values.count);
    TensorType& type = view.types.emplace_front();
    QUOIN_CHECK(read_type(element<quoin_value>(graph.values, ids[i]), type));
    out[i] = &type;
  }
  return {};
}

Status check_results(const NodeView& view, uint32_t operands) {
  QUOIN_TRY(const auto types, infer_types(*view.schema, std::span(view.inputs.data(), operands), view.attrs));
  if (types.size() != view.outputs.size())
    return fail(Code::model, "{} results, expected {}", view.outputs.size(), types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    if (view.outputs[i] == nullptr) return fail(Code::model, "result {} has no value", i);
    if (const TensorType type = logical(view.out(i)); type != types[i])
      return fail(Code::model, "result {} is {}, expected {}", i, to_string(type), to_string(types[i]));
  }
  return {};
}

}  // namespace

Result<NodeView> NodeView::of(const quoin_graph& graph, uint32_t index) {
  if (index >= graph.nodes.count) return fail(Code::model, "node {} of {}", index, graph.nodes.count);
  const auto node = element<quoin_node>(graph.nodes, index);
  NodeView view;
  view.schema = find_op(std::string_view(node.op.data, node.op.size));
  if (view.schema == nullptr) return fail(Code::unsupported, "operator {} is not known", text(node.op));
  Attrs attrs;
  for (uint32_t i = 0; i < node.attrs.count; ++i) {
    const auto param = element<quoin_param>(node.attrs, i);
    QUOIN_TRY(attrs[text(param.name)], to_attr(param));
  }
  QUOIN_TRY(view.attrs, complete_attrs(*view.schema, std::move(attrs)));
  if (!view.schema->variadic) view.inputs.resize(view.schema->inputs.size());
  QUOIN_CHECK(read_types(graph, {node.inputs, node.num_inputs}, view, view.inputs));
  QUOIN_CHECK(read_types(graph, {node.outputs, node.num_outputs}, view, view.outputs));
  QUOIN_CHECK(check_results(view, node.num_inputs));
  return view;
}

bool NodeView::is(const char* op) const { return schema->name == op; }
bool NodeView::has(const char* name) const { return quoin::has(attrs, name); }
bool NodeView::get_bool(const char* name) const { return quoin::get_bool(attrs, name); }
int64_t NodeView::get_int(const char* name) const { return quoin::get_int(attrs, name); }
double NodeView::get_number(const char* name) const { return quoin::get_number(attrs, name); }
const std::string& NodeView::get_text(const char* name) const { return quoin::get_text(attrs, name); }
const std::vector<int64_t>& NodeView::get_ints(const char* name) const { return quoin::get_ints(attrs, name); }
const std::vector<double>& NodeView::get_numbers(const char* name) const { return quoin::get_numbers(attrs, name); }

}  // namespace quoin::kernels
