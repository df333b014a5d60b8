#include "quantize/abi_spec.hpp"

#include "ops/abi_read.hpp"
#include "quantize/observer.hpp"
#include "recipe/params.hpp"

namespace quoin::quantize {
namespace {

constexpr uint64_t kMaxSources = 1024;
constexpr uint32_t kMaxObserverParams = 64;

Status read_sources(std::span<const ir::NodeId> nodes, const quoin_qspec& given, Spec& spec) {
  if (given.num_sources > kMaxSources || (given.num_sources > 0 && given.sources == nullptr))
    return fail(Code::plugin, "{} source places, of at most {}", given.num_sources, kMaxSources);
  for (uint64_t i = 0; i < given.num_sources; ++i) {
    QUOIN_TRY(const ir::Place source, place_from(nodes, given.sources[i]));
    spec.sources.push_back(source);
  }
  return {};
}

Status read_layout(const quoin_qspec& given, Spec& spec) {
  if (given.scheme > QUOIN_PER_BLOCK) return fail(Code::plugin, "scheme {} is not known", given.scheme);
  spec.scheme = static_cast<Scheme>(given.scheme);
  spec.axis = given.axis;
  spec.group = given.group;
  if (given.block_rank > kMaxRank || (given.block_rank > 0 && given.block == nullptr))
    return fail(Code::plugin, "a block of {} axes, of at most {}", given.block_rank, kMaxRank);
  spec.block.assign(given.block, given.block + given.block_rank);
  return {};
}

Status read_range(const quoin_qspec& given, Spec& spec) {
  const auto dtype = dtype_from_code(given.dtype);
  if (!dtype || !is_integer(*dtype) || bits(*dtype) > 32)
    return fail(Code::plugin, "dtype {} cannot hold quantized values",
                dtype ? name(*dtype) : std::to_string(given.dtype));
  spec.dtype = *dtype;
  spec.default_range = given.qmin == 0 && given.qmax == 0;
  spec.qmin = given.qmin;
  spec.qmax = given.qmax;
  if (spec.default_range) std::tie(spec.qmin, spec.qmax) = storage_range(*dtype);
  return {};
}

Status read_observer(const quoin_qspec& given, Spec& spec) {
  spec.observer = text(given.observer);
  if (given.observer_params.count > kMaxObserverParams)
    return fail(Code::plugin, "{} observer parameters, of at most {}", given.observer_params.count, kMaxObserverParams);
  for (const quoin_param& param : elements<quoin_param>(given.observer_params)) {
    QUOIN_TRY(auto scalar, recipe::scalar_from(param));
    spec.observer_params.emplace(text(param.name), std::move(scalar));
  }
  return {};
}

Status read_fixed(const quoin_qspec& given, Spec& spec) {
  if (given.zero_point < INT32_MIN || given.zero_point > INT32_MAX)
    return fail(Code::plugin, "zero point {} does not fit s32", given.zero_point);
  spec.scale = static_cast<float>(given.scale);
  spec.zero_point = static_cast<int32_t>(given.zero_point);
  return {};
}

}  // namespace

Result<ir::Place> place_from(std::span<const ir::NodeId> nodes, quoin_place place) {
  if (place.node >= nodes.size()) return fail(Code::plugin, "node {} of the request does not exist", place.node);
  return ir::Place{nodes[place.node], place.slot, place.is_output != 0};
}

Result<Spec> spec_from(std::span<const ir::NodeId> nodes, const quoin_qspec* from,
                       const std::shared_ptr<host::Backend>& backend) {
  if (from == nullptr || from->struct_size < QUOIN_END_OF(quoin_qspec, kind))
    return fail(Code::plugin, "a spec is missing or too short");
  const quoin_qspec given = widened(from);
  Spec spec;
  if (given.kind > QUOIN_DERIVED) return fail(Code::plugin, "spec kind {} is not known", given.kind);
  spec.kind = static_cast<SpecKind>(given.kind);
  if (spec.kind == SpecKind::shared || spec.kind == SpecKind::derived) QUOIN_CHECK(read_sources(nodes, given, spec));
  spec.implicit_sharing = (given.flags & QUOIN_NO_IMPLICIT_SHARING) == 0;
  if (spec.kind == SpecKind::shared) return spec;

  QUOIN_CHECK(read_range(given, spec));
  QUOIN_CHECK(read_layout(given, spec));
  QUOIN_CHECK(read_observer(given, spec));
  spec.symmetric = (given.flags & QUOIN_SYMMETRIC) != 0;
  spec.dynamic = (given.flags & QUOIN_DYNAMIC) != 0;
  spec.pow2_scale = (given.flags & QUOIN_POW2_SCALE) != 0;
  spec.eps = given.eps;
  if (spec.kind == SpecKind::fixed) QUOIN_CHECK(read_fixed(given, spec));
  if (spec.kind == SpecKind::observed && may_observe(*backend, spec.observer)) spec.backend = backend;
  if (spec.kind != SpecKind::derived) return spec;
  spec.rule = given.rule;
  if (spec.rule < QUOIN_RULE_PLUGIN) return spec;
  if (!QUOIN_HAS(quoin_quantizer, backend->table().quantizer, derive))
    return fail(Code::plugin, "derivation rule {} is the plugin's own, but it cannot derive", spec.rule);
  spec.backend = backend;
  return spec;
}

}  // namespace quoin::quantize
