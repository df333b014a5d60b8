#include "quantize/group_qparams.hpp"

#include <quoin/numerics.hpp>

#include "host/call_result.hpp"
#include "quantize/range.hpp"

namespace quoin::quantize {
namespace {

Result<QParams> product(const Spec& spec, const std::vector<const QParams*>& sources) {
  QParams out;
  out.dtype = spec.dtype;
  out.qmin = spec.qmin;
  out.qmax = spec.qmax;
  out.scale = {1.0f};
  bool first = true;
  for (const QParams* source : sources) {
    if (source->scale.size() > 1 && out.scale.size() == 1) out.scale.resize(source->scale.size(), out.scale[0]);
    if (source->scale.size() != 1 && source->scale.size() != out.scale.size())
      return fail(Code::plugin, "sources with {} and {} scales", out.scale.size(), source->scale.size());
    for (size_t i = 0; i < out.scale.size(); ++i) {
      const float factor = source->scale[source->scale.size() == 1 ? 0 : i];
      out.scale[i] = first ? factor : out.scale[i] * factor;
    }
    first = false;
  }
  if (out.scale.size() > 1 || spec.scheme == Scheme::per_channel) {
    out.scheme = Scheme::per_channel;
    out.axis = std::max(spec.axis, 0);
  }
  out.zero_point.assign(out.scale.size(), 0);
  return out;
}

Result<QParams> ask_plugin(const Spec& spec, const std::vector<const QParams*>& sources) {
  const host::Backend& backend = *spec.backend;
  const quoin_quantizer* quantizer = backend.table().quantizer;
  if (!QUOIN_HAS(quoin_quantizer, quantizer, derive))
    return fail(Code::plugin, "plugin {} names rule {} but cannot derive", backend.name(), spec.rule);
  std::vector<quoin_qparams> views;
  for (const QParams* source : sources) views.push_back(view(*source));
  std::vector<const quoin_qparams*> pointers;
  for (const quoin_qparams& one : views) pointers.push_back(&one);
  quoin_qparams out{};
  out.struct_size = sizeof out;
  auto called = host::call(backend.name(), [&](quoin_error* error) {
    return quantizer->derive(backend.handle(), spec.rule, pointers.data(), static_cast<uint32_t>(pointers.size()), &out,
                             error);
  });
  if (!called.ok()) return std::move(called.done).failure().at("derive");
  const auto dtype = dtype_from_code(out.dtype);
  if (!dtype || out.scale == nullptr || out.count == 0 || out.scheme > QUOIN_PER_CHANNEL)
    return fail(Code::plugin, "plugin {} derived unusable qparams", backend.name());
  QParams result{*dtype,   static_cast<Scheme>(out.scheme),    out.axis, 0, out.qmin,
                 out.qmax, {out.scale, out.scale + out.count}, {}};
  if (out.zero_point) result.zero_point.assign(out.zero_point, out.zero_point + out.count);
  return result;
}

Result<QParams> derived(const Prepared& prepared, const Spec& spec, const std::vector<std::optional<QParams>>& known) {
  std::vector<const QParams*> sources;
  for (const ir::Place place : spec.sources) sources.push_back(&*known[prepared.group_of.at(place)]);
  return spec.rule == QUOIN_RULE_PRODUCT ? product(spec, sources) : ask_plugin(spec, sources);
}

Result<QParams> own(const Group& group) {
  if (group.spec.existing) return *group.spec.existing;
  if (group.observer) return group.observer->qparams();
  QUOIN_TRY(const auto fixed, make_observer(group.spec));
  return fixed->qparams();
}

// The derived groups or the others. Sources are never derived themselves.
Status fill_qparams(const ir::Graph& graph, const Prepared& prepared, bool derive,
                    std::vector<std::optional<QParams>>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const Group& group = prepared.groups[i];
    if (group.spec.dynamic || (group.spec.kind == SpecKind::derived) != derive) continue;
    QUOIN_TRY(out[i], group_qparams(graph, prepared, i, out));
  }
  return {};
}

int32_t quantized(float x, const QParams& q, size_t piece, float inverse) {
  if (q.dtype == DType::s32) return numerics::quantize_bias(x, q.scale[piece], 1.0f);
  const int32_t zero = q.zero_point_at(piece);
  if (q.scheme != Scheme::per_group) return numerics::quantize(x, inverse, zero, q.qmin, q.qmax);
  const float steps = numerics::round_half_even(x * inverse + static_cast<float>(zero));
  return static_cast<int32_t>(numerics::clamp_real(steps, static_cast<float>(q.qmin), static_cast<float>(q.qmax)));
}

// Calls body(element, scale) for every element.
template <class Body>
void for_each(const ScaleLayout& layout, size_t elements, Body body) {
  layout.runs(0, static_cast<int64_t>(elements), [&](int64_t scale, int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) body(static_cast<size_t>(i), static_cast<size_t>(scale));
  });
}

template <class T>
void fill(Tensor& out, std::span<const float> from, const QParams& q, const ScaleLayout& layout) {
  std::vector<float> inverse;
  for (const float scale : q.scale) inverse.push_back(1.0f / scale);
  const auto to = out.as<T>();
  for_each(layout, from.size(),
           [&](size_t i, size_t c) { to[i] = static_cast<T>(quantized(from[i], q, c, inverse[c])); });
}

template <class T>
void expand(Tensor& out, std::span<const T> from, const QParams& q, const ScaleLayout& layout) {
  const auto to = out.as<float>();
  for_each(layout, from.size(), [&](size_t i, size_t c) {
    to[i] = numerics::dequantize(static_cast<int32_t>(from[i]), q.scale[c], q.zero_point_at(c));
  });
}

}  // namespace

DType byte_storage(DType dtype) {
  if (dtype == DType::s4 || dtype == DType::s2) return DType::s8;
  return dtype == DType::u4 ? DType::u8 : dtype;
}

Result<QParams> group_qparams(const ir::Graph& graph, const Prepared& prepared, size_t index,
                              const std::vector<std::optional<QParams>>& known) {
  const Group& group = prepared.groups[index];
  auto found = group.spec.kind == SpecKind::derived ? derived(prepared, group.spec, known) : own(group);
  if (!found) return std::move(found).failure().at("{}", describe(graph, group.places[0]));
  found->dtype = byte_storage(found->dtype);
  return found;
}

Result<std::vector<std::optional<QParams>>> all_qparams(const ir::Graph& graph, const Prepared& prepared) {
  std::vector<std::optional<QParams>> out(prepared.groups.size());
  QUOIN_CHECK(fill_qparams(graph, prepared, false, out));
  QUOIN_CHECK(fill_qparams(graph, prepared, true, out));
  return out;
}

Status derive_qparams(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>>& qparams) {
  return fill_qparams(graph, prepared, true, qparams);
}

Result<Tensor> quantize_constant(const Tensor& constant, const QParams& q) {
  QUOIN_TRY(const auto from, float_elements(constant));
  QUOIN_TRY(const ScaleLayout layout, check_scales(q, constant.shape()));
  Tensor out(q.dtype, constant.shape());
  switch (q.dtype) {
    case DType::s8:
      fill<int8_t>(out, from, q, layout);
      return out;
    case DType::u8:
      fill<uint8_t>(out, from, q, layout);
      return out;
    case DType::s16:
      fill<int16_t>(out, from, q, layout);
      return out;
    case DType::u16:
      fill<uint16_t>(out, from, q, layout);
      return out;
    case DType::s32:
      fill<int32_t>(out, from, q, layout);
      return out;
    default:
      return fail(Code::unsupported, "constants of type {}", name(q.dtype));
  }
}

Result<Tensor> dequantize_constant(const Tensor& constant, const QParams& q) {
  QUOIN_TRY(const ScaleLayout layout, check_scales(q, constant.shape()));
  Tensor out(DType::f32, constant.shape());
  switch (constant.dtype()) {
    case DType::s8:
      expand(out, constant.as<int8_t>(), q, layout);
      return out;
    case DType::u8:
      expand(out, constant.as<uint8_t>(), q, layout);
      return out;
    case DType::s16:
      expand(out, constant.as<int16_t>(), q, layout);
      return out;
    case DType::u16:
      expand(out, constant.as<uint16_t>(), q, layout);
      return out;
    case DType::s32:
      expand(out, constant.as<int32_t>(), q, layout);
      return out;
    default:
      return fail(Code::unsupported, "constants of type {}", name(constant.dtype()));
  }
}

}  // namespace quoin::quantize
