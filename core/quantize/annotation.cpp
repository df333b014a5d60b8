#include "quantize/annotation.hpp"

#include <cmath>

#include "ops/integer_range.hpp"
#include "quantize/range.hpp"

namespace quoin::quantize {
namespace {

constexpr int32_t kLargestInBinary32 = 2147483520;  // 2^31 - 2^7

Result<ir::ValueId> checked_value(const ir::Graph& graph, ir::Place place) {
  if (place.node >= graph.node_capacity() || !graph.node(place.node).alive)
    return fail(Code::plugin, "node {} does not exist", place.node);
  const ir::Node& node = graph.node(place.node);
  const auto& values = place.output ? node.outputs : node.inputs;
  if (place.slot < values.size() && values[place.slot] != ir::kNone) return values[place.slot];
  return fail(Code::plugin, "{} has no {} {}", graph.describe(place.node), place.output ? "output" : "input",
              place.slot);
}

// s32 as numbers: q - zero_point must fit int32, and what flows between nodes is clamped in binary32.
Status check_wide_range(const Spec& spec, bool constant) {
  if (!spec.symmetric && static_cast<int64_t>(spec.qmax) - spec.qmin > INT32_MAX)
    return fail(Code::plugin, "the affine range {}..{} has 2^31 steps or more; make it symmetric or narrower",
                spec.qmin, spec.qmax);
  if (!constant && spec.qmax > kLargestInBinary32)
    return fail(Code::plugin, "the range of an activation ends at {} at most, the largest binary32 below 2^31",
                kLargestInBinary32);
  return {};
}

Status check_range(const Spec& spec, bool constant) {
  if (!is_integer(spec.dtype) || bits(spec.dtype) > 32)
    return fail(Code::plugin, "{} cannot hold quantized values", name(spec.dtype));
  const auto [low, high] = storage_range(spec.dtype);
  if (spec.qmin < low || spec.qmax > high || spec.qmin >= spec.qmax || spec.qmin > 0 || spec.qmax < 0)
    return fail(Code::plugin, "the range {}..{} must lie in {}..{} ({}) and hold 0", spec.qmin, spec.qmax, low, high,
                name(spec.dtype));
  constexpr int32_t kMiddleOfU16 = 32768;  // whatever the range (choose_qparams)
  if (spec.symmetric && spec.dtype == DType::u16 && (spec.qmin > kMiddleOfU16 || spec.qmax < kMiddleOfU16))
    return fail(Code::plugin, "symmetric u16 has its zero point at {}, which is outside of {}..{}", kMiddleOfU16,
                spec.qmin, spec.qmax);
  if (!std::isfinite(spec.eps) || spec.eps < 0) return fail(Code::plugin, "eps {} must be at least 0", spec.eps);
  return spec.kind == SpecKind::derived ? Status{} : check_wide_range(spec, constant);
}

// What belongs to another scheme would be ignored.
Status check_layout(const Spec& spec) {
  if (spec.group != 0 && spec.scheme != Scheme::per_group)
    return fail(Code::plugin, "groups of {} belong to the per group scheme only", spec.group);
  if (!spec.block.empty() && spec.scheme != Scheme::per_block)
    return fail(Code::plugin, "blocks of {} belong to the per block scheme only", to_string(spec.block));
  if (spec.kind == SpecKind::derived && spec.scheme != Scheme::per_tensor && spec.scheme != Scheme::per_channel)
    return fail(Code::plugin, "derived qparams are per tensor or per channel");
  return {};
}

Status check_scheme(const Spec& spec, const Shape& shape, bool constant) {
  QUOIN_CHECK(check_layout(spec));
  if (spec.dynamic && spec.pow2_scale)
    return fail(Code::plugin, "scales chosen at run time are not rounded to powers of two");
  if (spec.dynamic) {
    if (constant) return fail(Code::plugin, "a constant cannot have qparams that are chosen at run time");
    if (spec.scheme == Scheme::per_tensor || spec.scheme == Scheme::per_token) return {};
    return fail(Code::plugin, "qparams chosen at run time are per tensor or per token");
  }
  if (spec.scheme == Scheme::per_token) return fail(Code::plugin, "per token qparams must be dynamic");
  if (auto layout = scale_layout(spec, shape); !layout) return std::move(layout).failure();
  if ((spec.scheme == Scheme::per_group || spec.scheme == Scheme::per_block) && !constant)
    return fail(Code::plugin, "only weights can have groups or blocks");
  return {};
}

Status check_fixed(const Spec& spec) {
  if (spec.scheme != Scheme::per_tensor || spec.dynamic)
    return fail(Code::plugin, "fixed qparams are per tensor and not dynamic");
  if (!std::isfinite(spec.scale) || spec.scale <= 0)
    return fail(Code::plugin, "the fixed scale {} must be positive and finite", spec.scale);
  if (spec.zero_point < spec.qmin || spec.zero_point > spec.qmax)
    return fail(Code::plugin, "the fixed zero point {} is outside {}..{}", spec.zero_point, spec.qmin, spec.qmax);
  if (spec.symmetric && spec.qmin < 0 && spec.zero_point != 0)
    return fail(Code::plugin, "a symmetric spec has the zero point 0, found {}", spec.zero_point);
  if (int exponent = 0; spec.pow2_scale && std::frexp(spec.scale, &exponent) != 0.5f)
    return fail(Code::plugin, "the fixed scale {} is not a power of two", spec.scale);
  return {};
}

Status check_sources(const ir::Graph& graph, ir::Place place, const Spec& spec) {
  if (spec.sources.empty()) return fail(Code::plugin, "no source places are given");
  for (const ir::Place source : spec.sources) {
    if (source == place) return fail(Code::plugin, "the place refers to itself");
    QUOIN_CHECK(checked_value(graph, source));
  }
  if (spec.kind == SpecKind::shared)
    return spec.sources.size() == 1 ? Status{}
                                    : fail(Code::plugin, "{} places to share with, expected 1", spec.sources.size());
  if (spec.rule == QUOIN_RULE_PRODUCT || (spec.rule >= QUOIN_RULE_PLUGIN && spec.backend)) return {};
  return fail(Code::plugin, "derivation rule {} is not known", spec.rule);
}

Status check_spec(const ir::Graph& graph, ir::Place place, ir::ValueId value, const Spec& spec) {
  const TensorType& type = graph.value(value).type;
  if (type.dtype != DType::f32 || type.qparams)
    return fail(Code::plugin, "only f32 values can be quantized, found {}", to_string(type));
  if (spec.existing) return {};
  if (spec.kind == SpecKind::shared) return check_sources(graph, place, spec);
  const bool constant = graph.is_constant(value);
  QUOIN_CHECK(check_range(spec, constant));
  QUOIN_CHECK(check_scheme(spec, type.shape, constant));
  if (spec.dynamic && (place.output || spec.kind != SpecKind::observed))
    return fail(Code::plugin, "qparams chosen at run time belong to inputs with an observed spec");
  if (spec.kind == SpecKind::fixed) return check_fixed(spec);
  return spec.kind == SpecKind::derived ? check_sources(graph, place, spec) : Status{};
}

}  // namespace

std::string describe(const ir::Graph& graph, ir::Place place) {
  return fmt::format("{} {} of {}", place.output ? "output" : "input", place.slot, graph.describe(place.node));
}

std::string summary(const ir::Graph& graph, const Spec& spec) {
  if (spec.kind == SpecKind::shared) return "the qparams of " + describe(graph, spec.sources[0]);
  std::string out = fmt::format("{} {}..{}", name(spec.dtype), spec.qmin, spec.qmax);
  switch (spec.scheme) {
    case Scheme::per_tensor:
      break;
    case Scheme::per_channel:
      out += fmt::format(" per channel of axis {}", spec.axis);
      break;
    case Scheme::per_group:
      out += fmt::format(" in groups of {}", spec.group);
      break;
    case Scheme::per_token:
      out += " per token";
      break;
    case Scheme::per_block:
      out += " in blocks of " + to_string(spec.block);
      break;
  }
  out += spec.symmetric ? ", symmetric" : ", affine";
  if (spec.pow2_scale) out += ", power-of-two scale";
  if (spec.kind == SpecKind::fixed) return out + fmt::format(", scale {} zero point {}", spec.scale, spec.zero_point);
  if (spec.kind == SpecKind::derived) return out + fmt::format(", derived by rule {}", spec.rule);
  if (spec.dynamic) out += ", dynamic";
  if (!spec.observer.empty()) out += ", " + spec.observer;
  for (const auto& param : spec.observer_params)
    out += std::visit([&](const auto& value) { return fmt::format(", {} {}", param.first, value); }, param.second);
  return spec.eps > 0 ? out + fmt::format(", eps {:.3g}", spec.eps) : out;
}

std::pair<int32_t, int32_t> storage_range(DType dtype) {
  const IntegerRange all = integer_range(dtype);
  return {static_cast<int32_t>(all.low), static_cast<int32_t>(all.high)};
}

Status Annotations::set(const ir::Graph& graph, ir::Place place, Spec spec, const std::string& by) {
  QUOIN_TRY(const ir::ValueId value, checked_value(graph, place));
  const auto where = [&](Error error) { return fail(in(describe(graph, place), std::move(error))); };
  if (const auto earlier = by_.find(place); earlier != by_.end())
    return where(Error{
        Code::plugin, fmt::format("already annotated by {}", earlier->second), {}, "ask before annotating twice"});
  if (auto legal = check_spec(graph, place, value, spec); !legal) return where(std::move(legal).error());
  specs_.emplace(place, std::move(spec));
  by_.emplace(place, by);
  return {};
}

const Spec* Annotations::find(ir::Place place) const {
  const auto found = specs_.find(place);
  return found == specs_.end() ? nullptr : &found->second;
}

}  // namespace quoin::quantize
