#include "quantize/qdq.hpp"

#include <cmath>

namespace quoin::quantize {
namespace {

constexpr std::string_view kPrefix = "quantized_decomposed.";

bool is(const ir::Node& node, std::string_view name) {
  const std::string& op = node.op();
  return op.size() == kPrefix.size() + name.size() && op.starts_with(kPrefix) && op.ends_with(name);
}

std::string full_name(bool quantize, std::string_view rest) {
  return fmt::format("{}{}{}", kPrefix, quantize ? "quantize_" : "dequantize_", rest);
}

// Elements of a constant operand as doubles; nothing when it is not a constant.
std::optional<std::vector<double>> constant_numbers(const ir::Graph& graph, ir::ValueId id) {
  if (!graph.is_constant(id)) return std::nullopt;
  const Tensor& tensor = *graph.value(id).constant;
  const auto widen = [](auto elements) { return std::vector<double>(elements.begin(), elements.end()); };
  switch (tensor.dtype()) {
    case DType::f32:
      return widen(tensor.as<float>());
    case DType::f64:
      return widen(tensor.as<double>());
    case DType::s8:
      return widen(tensor.as<int8_t>());
    case DType::u8:
      return widen(tensor.as<uint8_t>());
    case DType::s16:
      return widen(tensor.as<int16_t>());
    case DType::u16:
      return widen(tensor.as<uint16_t>());
    case DType::s32:
      return widen(tensor.as<int32_t>());
    case DType::s64:
      return widen(tensor.as<int64_t>());
    default:
      return std::nullopt;
  }
}

Result<QParams> checked(const ir::Graph& graph, ir::NodeId id, QParams q, const std::vector<double>& scale,
                        const std::vector<double>& zero_point) {
  const auto bad = [&](std::string what) { return fail(Error{Code::model, std::move(what), graph.describe(id), {}}); };
  for (const double s : scale) {
    q.scale.push_back(static_cast<float>(s));
    if (!std::isfinite(q.scale.back()) || q.scale.back() <= 0)
      return bad(fmt::format("scale {} is not positive and finite", s));
  }
  for (const double z : zero_point) {
    if (!(z >= q.qmin && z <= q.qmax)) return bad(fmt::format("zero point {} is outside {}..{}", z, q.qmin, q.qmax));
    q.zero_point.push_back(static_cast<int32_t>(z));
  }
  if (q.zero_point.empty()) q.zero_point.assign(q.scale.size(), 0);
  if (q.zero_point.size() != q.scale.size())
    return bad(fmt::format("{} zero points for {} scales", q.zero_point.size(), q.scale.size()));
  return q;
}

QParams from_attrs(const Attrs& attrs) {
  QParams q;
  q.dtype = *parse_dtype(get_text(attrs, "dtype"));  // checked by the operator's type inference
  q.qmin = static_cast<int32_t>(get_int(attrs, "quant_min"));
  q.qmax = static_cast<int32_t>(get_int(attrs, "quant_max"));
  return q;
}

}  // namespace

std::pair<ir::ValueId, ir::ValueId> Emitter::constants(ir::ValueId value, const QParams& q) {
  if (const auto found = constants_.find(&q); found != constants_.end()) return found->second;
  const std::string base = graph_.value(value).name;
  Shape shape{static_cast<int64_t>(q.scale.size())};
  if (q.scheme == Scheme::per_group) {
    const Shape& full = graph_.value(value).type.shape;
    shape = {full[0], full[1] / static_cast<int64_t>(q.group)};
  }
  std::vector<int64_t> zeros(q.scale.size());
  for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = q.zero_point_at(i);
  const auto scale = graph_.add_constant(base + "_scale", Tensor::of<float>(DType::f32, shape, q.scale));
  const auto zero = graph_.add_constant(base + "_zero_point", Tensor::of<int64_t>(DType::s64, shape, zeros));
  return constants_[&q] = {scale, zero};
}

Result<ir::ValueId> Emitter::emit(bool quantize, ir::ValueId value, const QParams& q, ir::Provenance provenance,
                                  ir::NodeId before) {
  std::vector<ir::ValueId> inputs{value};
  Attrs attrs{{"quant_min", int64_t{q.qmin}}, {"quant_max", int64_t{q.qmax}}, {"dtype", std::string(name(q.dtype))}};
  std::string_view rest = "per_tensor.default";
  if (q.scheme == Scheme::per_tensor) {
    attrs["scale"] = static_cast<double>(q.scale[0]);
    attrs["zero_point"] = int64_t{q.zero_point_at(0)};
  } else {
    const auto [scale, zero] = constants(value, q);
    inputs.insert(inputs.end(), {scale, zero});
    if (q.scheme == Scheme::per_channel) {
      rest = "per_channel.default";
      attrs["axis"] = int64_t{q.axis};
    } else {
      rest = "per_channel_group.default";
      attrs["group_size"] = static_cast<int64_t>(q.group);
    }
  }
  QUOIN_TRY(const ir::NodeId node, graph_.add_node(full_name(quantize, rest), std::move(inputs), std::move(attrs), {},
                                                   std::move(provenance), before));
  return graph_.output(node);
}

Result<ir::ValueId> Emitter::quantize(ir::ValueId value, const QParams& q, ir::Provenance provenance,
                                      ir::NodeId before) {
  return emit(true, value, q, std::move(provenance), before);
}
Result<ir::ValueId> Emitter::dequantize(ir::ValueId value, const QParams& q, ir::Provenance provenance,
                                        ir::NodeId before) {
  return emit(false, value, q, std::move(provenance), before);
}

Result<std::optional<Qdq>> read_qdq(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  for (const bool quantize : {true, false}) {
    const QdqKind kind = quantize ? QdqKind::quantize : QdqKind::dequantize;
    const std::string verb = quantize ? "quantize_" : "dequantize_";
    if (is(node, verb + "per_tensor.default")) {
      const double scale = get_number(node.attrs, "scale");
      const auto zero = static_cast<double>(get_int(node.attrs, "zero_point"));
      QUOIN_TRY(QParams q, checked(graph, id, from_attrs(node.attrs), {scale}, {zero}));
      return std::optional(Qdq{kind, std::move(q)});
    }
    const bool tensor = is(node, verb + "per_tensor.tensor"), channel = is(node, verb + "per_channel.default");
    if (!tensor && !channel && !is(node, verb + "per_channel_group.default")) continue;
    const auto scale = constant_numbers(graph, graph.input(id, 1)), zero = constant_numbers(graph, graph.input(id, 2));
    if (!scale || (!zero && graph.input(id, 2) != ir::kNone)) return std::optional<Qdq>();
    QParams q = from_attrs(node.attrs);
    if (channel) {
      q.scheme = Scheme::per_channel;
      const int64_t axis = get_int(node.attrs, "axis");
      const auto rank = static_cast<int64_t>(graph.value(node.inputs[0]).type.shape.size());
      q.axis = static_cast<int32_t>(axis < 0 ? axis + rank : axis);
    } else if (!tensor) {
      q.scheme = Scheme::per_group;
      q.group = static_cast<uint32_t>(get_int(node.attrs, "group_size"));
    }
    QUOIN_TRY(q, checked(graph, id, std::move(q), *scale, zero.value_or(std::vector<double>())));
    return std::optional(Qdq{kind, std::move(q)});
  }
  return std::optional<Qdq>();
}

std::optional<DynamicChain> read_dynamic(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& dequantize = graph.node(id);
  const bool tensor = is(dequantize, "dequantize_per_tensor.tensor");
  if (!tensor && !is(dequantize, "dequantize_per_token.default")) return std::nullopt;
  const ir::NodeId middle = graph.value(dequantize.inputs[0]).producer;
  const ir::NodeId choose = graph.value(dequantize.inputs[1]).producer;
  if (middle == ir::kNone || choose == ir::kNone) return std::nullopt;
  const ir::Node &quantize = graph.node(middle), &chooser = graph.node(choose);
  const bool matches = is(quantize, tensor ? "quantize_per_tensor.tensor" : "quantize_per_token.default") &&
                       is(chooser, tensor ? "choose_qparams.tensor" : "choose_qparams_per_token_asymmetric.default") &&
                       quantize.inputs[1] == dequantize.inputs[1] && quantize.inputs[2] == dequantize.inputs[2] &&
                       quantize.inputs[1] == chooser.outputs[0] && quantize.inputs[2] == chooser.outputs[1] &&
                       quantize.inputs[0] == chooser.inputs[0] && get_text(dequantize.attrs, "dtype") == "s8";
  if (!matches) return std::nullopt;
  return DynamicChain{chooser.inputs[0], tensor ? "per_tensor" : "per_token", get_int(quantize.attrs, "quant_min"),
                      get_int(quantize.attrs, "quant_max")};
}

}  // namespace quoin::quantize
