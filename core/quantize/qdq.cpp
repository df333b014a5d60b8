#include "quantize/qdq.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <quoin/numerics.hpp>

#include "ops/half.hpp"
#include "ops/integer_range.hpp"
#include "ops/scale_layout.hpp"
#include "quantize/group_qparams.hpp"

namespace quoin::quantize {
namespace {

constexpr std::string_view kPrefix = "quantized_decomposed.", kTorchao = "torchao.";

bool is(const ir::Node& node, std::string_view name) {
  const std::string& op = node.op();
  return op.size() == kPrefix.size() + name.size() && op.starts_with(kPrefix) && op.ends_with(name);
}

std::string full_name(bool quantize, std::string_view rest) {
  return fmt::format("{}{}{}", kPrefix, quantize ? "quantize_" : "dequantize_", rest);
}

bool is_torchao(const ir::Node& node, std::string_view name) {
  return node.op() == fmt::format("{}{}.default", kTorchao, name);
}

// Elements of a constant operand as doubles; nothing when it is not a constant.
std::optional<std::vector<double>> constant_numbers(const ir::Graph& graph, ir::ValueId id) {
  if (!graph.is_constant(id)) return std::nullopt;
  const Tensor& tensor = *graph.value(id).constant;
  const auto widen = [](auto elements) { return std::vector<double>(elements.begin(), elements.end()); };
  const auto halves = [&](float (*to_float)(uint16_t)) {
    std::vector<double> out;
    for (const uint16_t bits : tensor.as<uint16_t>()) out.push_back(static_cast<double>(to_float(bits)));
    return out;
  };
  switch (tensor.dtype()) {
    case DType::f16:
      return halves(half_to_float);
    case DType::bf16:
      return halves(bfloat_to_float);
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
  const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("{}", graph.describe(id)); };
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

std::pair<ir::ValueId, ir::ValueId> Emitter::constants(ir::ValueId value, const QParams& q, Shape shape) {
  if (const auto found = constants_.find(&q); found != constants_.end()) return found->second;
  const std::string base = graph_.value(value).name;
  std::vector<int64_t> zeros(q.scale.size());
  for (size_t i = 0; i < zeros.size(); ++i) zeros[i] = q.zero_point_at(i);
  const auto scale = graph_.add_constant(base + "_scale", Tensor::of<float>(DType::f32, shape, q.scale));
  const auto zero = graph_.add_constant(base + "_zero_point", Tensor::of<int64_t>(DType::s64, shape, zeros));
  return constants_[&q] = {scale, zero};
}

Result<ir::ValueId> Emitter::emit(bool quantize, ir::ValueId value, const QParams& q, ir::Provenance provenance,
                                  ir::NodeId before) {
  const Shape& shape = graph_.value(value).type.shape;
  QUOIN_TRY(const Shape block, block_shape(q, shape));
  std::vector<ir::ValueId> inputs{value};
  Attrs attrs{{"quant_min", int64_t{q.qmin}}, {"quant_max", int64_t{q.qmax}}};
  std::string op = full_name(quantize, "per_tensor.default");
  const char* dtype_key = "dtype";
  Shape scales;  // blocks along every axis
  for (size_t d = 0; d < shape.size(); ++d) scales.push_back(block[d] == 0 ? 1 : shape[d] / block[d]);
  if (q.scheme == Scheme::per_tensor) {
    attrs["scale"] = static_cast<double>(q.scale[0]);
    attrs["zero_point"] = int64_t{q.zero_point_at(0)};
  } else if (q.scheme == Scheme::per_channel) {
    op = full_name(quantize, "per_channel.default");
    attrs["axis"] = int64_t{q.axis};
    scales = {static_cast<int64_t>(q.scale.size())};
  } else if (q.scheme == Scheme::per_group && shape.size() == 2) {
    op = full_name(quantize, "per_channel_group.default");
    attrs["group_size"] = static_cast<int64_t>(q.group);
  } else {
    op = fmt::format("{}{}_affine.default", kTorchao, quantize ? "quantize" : "dequantize");
    attrs["block_size"] = block;
    dtype_key = quantize ? "output_dtype" : "input_dtype";
  }
  attrs[dtype_key] = std::string(name(q.dtype));
  if (q.scheme != Scheme::per_tensor) {
    const auto [scale, zero] = constants(value, q, std::move(scales));
    inputs.insert(inputs.end(), {scale, zero});
  }
  QUOIN_TRY(const ir::NodeId node,
            graph_.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance), before));
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

Result<ir::ValueId> Emitter::dynamic(ir::ValueId value, const Spec& spec, const ir::Provenance& provenance,
                                     ir::NodeId before) {
  const bool tensor = spec.scheme == Scheme::per_tensor;
  const std::string dtype(name(byte_storage(spec.dtype)));
  const Attrs range{{"quant_min", int64_t{spec.qmin}}, {"quant_max", int64_t{spec.qmax}}, {"dtype", dtype}};
  Attrs choose{{"dtype", dtype}};
  std::string_view chooser =
      spec.symmetric ? "choose_qparams_per_token.default" : "choose_qparams_per_token_asymmetric.default";
  if (tensor) {
    choose = range;
    choose["eps"] = spec.eps > 0 ? spec.eps : static_cast<double>(numerics::kDefaultEps);
    chooser = spec.symmetric ? "choose_qparams_symmetric.tensor" : "choose_qparams.tensor";
  } else if (spec.dtype != DType::s8 || spec.qmin != -128 || spec.qmax != 127) {
    return fail(Code::unsupported, "per token qparams are s8 in -128..127, the spec asks for {} in {}..{}", dtype,
                spec.qmin, spec.qmax);
  }
  const std::string_view suffix = tensor ? "per_tensor.tensor" : "per_token.default";
  QUOIN_TRY(const auto chosen,
            graph_.add_node(fmt::format("{}{}", kPrefix, chooser), {value}, std::move(choose), {}, provenance, before));
  const ir::ValueId scale = graph_.output(chosen, 0), zero = graph_.output(chosen, 1);
  QUOIN_TRY(const auto q,
            graph_.add_node(full_name(true, suffix), {value, scale, zero}, range, {}, provenance, before));
  QUOIN_TRY(const auto dq,
            graph_.add_node(full_name(false, suffix), {graph_.output(q), scale, zero}, range, {}, provenance, before));
  return graph_.output(dq);
}

namespace {

// The most specific scheme whose blocks are these; blocks along axis 0 of a matrix are channels, not tokens.
QParams scheme_of(const Shape& block, const Shape& shape) {
  QParams q;
  std::vector<size_t> cut;  // axes that blocks do not span
  for (size_t d = 0; d < shape.size(); ++d)
    if (block[d] != shape[d]) cut.push_back(d);
  if (cut.empty()) return q;
  const bool rows = std::all_of(block.begin(), block.end() - 1, [](int64_t size) { return size == 1; });
  if (cut.size() == 1 && block[cut[0]] == 1) {
    q.scheme = Scheme::per_channel;
    q.axis = static_cast<int32_t>(cut[0]);
  } else if (rows && block.back() == shape.back()) {
    q.scheme = Scheme::per_token;
  } else if (rows) {
    q.scheme = Scheme::per_group;
    q.group = static_cast<uint32_t>(block.back());
  } else {
    q.scheme = Scheme::per_block;
    q.block = block;
  }
  return q;
}

// Scales and zero points that are constants, under the scheme, type and range of `q`; nothing if they are not.
Result<std::optional<Qdq>> with_constants(const ir::Graph& graph, ir::NodeId id, QdqKind kind, QParams q) {
  const ir::ValueId scales = graph.input(id, 1), zeros = graph.input(id, 2);
  const auto scale = constant_numbers(graph, scales), zero = constant_numbers(graph, zeros);
  if (!scale || (!zero && zeros != ir::kNone)) return std::optional<Qdq>();
  // Dividing by a scale of less than f32 rounds in its type; multiplying with it does not.
  if (kind == QdqKind::quantize && bits(graph.value(scales).type.dtype) < 32) return std::optional<Qdq>();
  QUOIN_TRY(q, checked(graph, id, std::move(q), *scale, zero.value_or(std::vector<double>())));
  return std::optional(Qdq{kind, std::move(q)});
}

Result<std::optional<Qdq>> read_affine(const ir::Graph& graph, ir::NodeId id, QdqKind kind) {
  const ir::Node& node = graph.node(id);
  if (get_text(node.attrs, "zero_point_domain") != "INT") return std::optional<Qdq>();
  QParams q = scheme_of(get_ints(node.attrs, "block_size"), graph.value(node.inputs[0]).type.shape);
  q.dtype = *parse_dtype(get_text(node.attrs, kind == QdqKind::quantize ? "output_dtype" : "input_dtype"));
  const IntegerRange all = integer_range(q.dtype);
  q.qmin = static_cast<int32_t>(has(node.attrs, "quant_min") ? get_int(node.attrs, "quant_min") : all.low);
  q.qmax = static_cast<int32_t>(has(node.attrs, "quant_max") ? get_int(node.attrs, "quant_max") : all.high);
  return with_constants(graph, id, kind, std::move(q));
}

}  // namespace

Result<std::optional<Qdq>> read_qdq(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  for (const QdqKind kind : {QdqKind::quantize, QdqKind::dequantize}) {
    const bool quantize = kind == QdqKind::quantize;
    const std::string verb = quantize ? "quantize_" : "dequantize_";
    const auto is_f32 = [&] {
      return graph.value(quantize ? node.inputs[0] : node.outputs[0]).type.dtype == DType::f32;
    };
    if (is_torchao(node, verb + "affine"))
      return is_f32() ? read_affine(graph, id, kind) : Result<std::optional<Qdq>>(std::nullopt);
    const bool literal = is(node, verb + "per_tensor.default");
    const bool tensor = is(node, verb + "per_tensor.tensor"), channel = is(node, verb + "per_channel.default");
    const bool group = is(node, verb + "per_channel_group.default");
    if (!literal && !tensor && !channel && !group) continue;
    if (!is_f32()) return std::optional<Qdq>();
    QParams q = from_attrs(node.attrs);
    if (literal) {
      const double scale = get_number(node.attrs, "scale");
      const auto zero = static_cast<double>(get_int(node.attrs, "zero_point"));
      QUOIN_TRY(q, checked(graph, id, std::move(q), {scale}, {zero}));
      return std::optional(Qdq{kind, std::move(q)});
    }
    if (channel) {
      q.scheme = Scheme::per_channel;
      const int64_t axis = get_int(node.attrs, "axis");
      const auto rank = static_cast<int64_t>(graph.value(node.inputs[0]).type.shape.size());
      q.axis = static_cast<int32_t>(axis < 0 ? axis + rank : axis);
    } else if (group) {
      q.scheme = Scheme::per_group;
      q.group = static_cast<uint32_t>(get_int(node.attrs, "group_size"));
    }
    return with_constants(graph, id, kind, std::move(q));
  }
  return std::optional<Qdq>();
}

namespace {

// What a choose_qparams node computes; null for other nodes.
const char* dynamic_scheme(const ir::Node& chooser) {
  if (is(chooser, "choose_qparams.tensor")) return "affine";
  if (is(chooser, "choose_qparams_symmetric.tensor")) return "symmetric";
  if (is(chooser, "choose_qparams_per_token_asymmetric.default") ||
      is(chooser, "_choose_qparams_per_token_asymmetric_impl.default"))
    return "token";
  return is(chooser, "choose_qparams_per_token.default") ? "token_symmetric" : nullptr;
}

// Quantize and chooser of a chain that ends in `dequantize`: all three use the same scale, zero point and source.
struct ChainNodes {
  const ir::Node *chooser, *quantize;
};
std::optional<ChainNodes> chain_nodes(const ir::Graph& graph, const ir::Node& dequantize) {
  if (dequantize.inputs.size() < 3) return std::nullopt;
  const ir::NodeId middle = graph.value(dequantize.inputs[0]).producer;
  const ir::NodeId choose = graph.value(dequantize.inputs[1]).producer;
  if (middle == ir::kNone || choose == ir::kNone) return std::nullopt;
  const ir::Node &quantize = graph.node(middle), &chooser = graph.node(choose);
  const bool matches = quantize.inputs.size() >= 3 && chooser.outputs.size() == 2 && chooser.inputs.size() == 1 &&
                       quantize.inputs[1] == dequantize.inputs[1] && quantize.inputs[2] == dequantize.inputs[2] &&
                       quantize.inputs[1] == chooser.outputs[0] && quantize.inputs[2] == chooser.outputs[1] &&
                       quantize.inputs[0] == chooser.inputs[0] &&
                       graph.value(chooser.inputs[0]).type.dtype == DType::f32;
  return matches ? std::optional(ChainNodes{&chooser, &quantize}) : std::nullopt;
}

// choose_qparams_affine -> quantize_affine -> dequantize_affine over one block, or one block per row, of signed bytes.
std::optional<DynamicChain> read_dynamic_affine(const ir::Graph& graph, const ir::Node& dequantize) {
  const auto nodes = chain_nodes(graph, dequantize);
  if (!nodes || !is_torchao(*nodes->quantize, "quantize_affine") ||
      !is_torchao(*nodes->chooser, "choose_qparams_affine"))
    return std::nullopt;
  const Attrs &choose = nodes->chooser->attrs, &quantize = nodes->quantize->attrs;
  const std::string& mapping = get_text(choose, "mapping_type");
  const Shape& shape = graph.value(nodes->chooser->inputs[0]).type.shape;
  Shape rows(shape.size(), 1);
  if (!rows.empty()) rows.back() = shape.back();
  const Shape& block = get_ints(choose, "block_size");
  const auto limit = [](const Attrs& attrs, const char* key, int64_t fallback) {
    return has(attrs, key) ? get_int(attrs, key) : fallback;
  };
  const int64_t qmin = limit(choose, "quant_min", -128), qmax = limit(choose, "quant_max", 127);
  bool fits = get_text(choose, "target_dtype") == "s8" && get_text(quantize, "output_dtype") == "s8" &&
              limit(quantize, "quant_min", -128) == qmin && limit(quantize, "quant_max", 127) == qmax &&
              get_bool(choose, "preserve_zero") && (block == shape || block == rows) &&
              graph.value(nodes->chooser->outputs[0]).type.dtype == DType::f32 &&
              graph.value(dequantize.outputs[0]).type.dtype == DType::f32;
  for (const Attrs* attrs : {&choose, &quantize, &dequantize.attrs})
    fits = fits && get_text(*attrs, "zero_point_domain") == "INT" && get_ints(*attrs, "block_size") == block;
  // The middle of the range is this operator's zero point of symmetric mappings.
  const bool symmetric = mapping == "SYMMETRIC" && (qmin + qmax + 1) / 2 == 0 && qmin < 0;
  if (!fits || (!symmetric && mapping != "ASYMMETRIC")) return std::nullopt;
  const double eps = has(choose, "eps") ? get_number(choose, "eps") : double{std::numeric_limits<float>::min()};
  return DynamicChain{nodes->chooser->inputs[0],
                      block == shape ? "per_tensor" : "per_token",
                      symmetric ? "symmetric" : "affine",
                      qmin,
                      qmax,
                      eps};
}

}  // namespace

std::optional<DynamicChain> read_dynamic(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& dequantize = graph.node(id);
  if (is_torchao(dequantize, "dequantize_affine")) return read_dynamic_affine(graph, dequantize);
  const bool tensor = is(dequantize, "dequantize_per_tensor.tensor");
  if (!tensor && !is(dequantize, "dequantize_per_token.default")) return std::nullopt;
  const auto nodes = chain_nodes(graph, dequantize);
  if (!nodes) return std::nullopt;
  const ir::Node &quantize = *nodes->quantize, &chooser = *nodes->chooser;
  const char* scheme = dynamic_scheme(chooser);
  const bool matches = is(quantize, tensor ? "quantize_per_tensor.tensor" : "quantize_per_token.default") &&
                       scheme != nullptr && tensor == has(chooser.attrs, "eps") &&
                       get_text(dequantize.attrs, "dtype") == "s8" &&
                       graph.value(dequantize.outputs[0]).type.dtype == DType::f32;
  if (!matches) return std::nullopt;
  const int64_t qmin = get_int(quantize.attrs, "quant_min"), qmax = get_int(quantize.attrs, "quant_max");
  if (tensor && (get_int(chooser.attrs, "quant_min") != qmin || get_int(chooser.attrs, "quant_max") != qmax))
    return std::nullopt;
  return DynamicChain{chooser.inputs[0],
                      tensor ? "per_tensor" : "per_token",
                      scheme,
                      qmin,
                      qmax,
                      tensor ? get_number(chooser.attrs, "eps") : static_cast<double>(numerics::kDefaultEps)};
}

}  // namespace quoin::quantize
