// Asks the plugins' quantizers which places of the graph to quantize, and records why every node is as it is.
#include <exception>

#include "host/call.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"
#include "passes/passes.hpp"
#include "quantize/preset.hpp"
#include "quantize/scope.hpp"

namespace quoin::quantize {
namespace {

constexpr uint64_t kMaxSources = 1024;

// One annotate() call of one plugin; the callbacks below see it as `self`.
struct Session {
  const ir::Graph& graph;
  const Assignment& assignment;
  const ir::Snapshot& snapshot;
  const std::vector<uint32_t>& node_config;
  const Configs& configs;
  Annotations& out;
  Diagnostics& diagnostics;
  std::string broken;  // what went wrong inside a callback that the plugin cannot know about

  std::string plugin() const { return assignment.backend->name(); }
  std::optional<ir::NodeId> node(uint32_t index) const {
    if (index >= snapshot.node_ids().size()) return std::nullopt;
    return snapshot.node_ids()[index];
  }
  std::string preset(uint32_t index) const {
    return node_config[index] == QUOIN_NONE ? std::string() : configs.preset(node_config[index]);
  }
  void decide(Verdict::Kind kind, uint32_t index, std::string rule, std::string reason) {
    Verdict& verdict = out.verdicts[snapshot.node_ids()[index]];
    verdict.kind = kind;
    verdict.plugin = plugin();
    verdict.preset = preset(index);
    verdict.rule = std::move(rule);
    verdict.reason = std::move(reason);
  }
};

Result<ir::Place> place_of(const Session& session, quoin_place place) {
  const auto node = session.node(place.node);
  if (!node) return fail(Code::plugin, "node {} of the request does not exist", place.node);
  return ir::Place{*node, place.slot, place.is_output != 0};
}

Result<Spec> spec_from(const Session& session, const quoin_qspec& given) {
  Spec spec;
  if (given.kind > QUOIN_DERIVED) return fail(Code::plugin, "spec kind {} is not known", given.kind);
  spec.kind = static_cast<SpecKind>(given.kind);
  if (given.num_sources > kMaxSources || (given.num_sources > 0 && given.sources == nullptr))
    return fail(Code::plugin, "{} source places", given.num_sources);
  for (uint64_t i = 0; i < given.num_sources; ++i) {
    QUOIN_TRY(const ir::Place source, place_of(session, given.sources[i]));
    spec.sources.push_back(source);
  }
  spec.implicit_sharing = (given.flags & QUOIN_NO_IMPLICIT_SHARING) == 0;
  if (spec.kind == SpecKind::shared) return spec;

  const auto dtype = dtype_from_code(given.dtype);
  if (!dtype || !is_integer(*dtype)) return fail(Code::plugin, "dtype {} cannot hold quantized values", given.dtype);
  if (given.scheme > QUOIN_PER_TOKEN) return fail(Code::plugin, "scheme {} is not known", given.scheme);
  spec.dtype = *dtype;
  spec.scheme = static_cast<Scheme>(given.scheme);
  spec.axis = given.axis;
  spec.group = given.group;
  spec.default_range = given.qmin == 0 && given.qmax == 0;
  if (spec.default_range && bits(*dtype) <= 32)
    std::tie(spec.qmin, spec.qmax) = storage_range(*dtype);
  else
    spec.qmin = given.qmin, spec.qmax = given.qmax;
  spec.symmetric = (given.flags & QUOIN_SYMMETRIC) != 0;
  spec.dynamic = (given.flags & QUOIN_DYNAMIC) != 0;
  spec.pow2_scale = (given.flags & QUOIN_POW2_SCALE) != 0;
  spec.observer = text(given.observer);
  for (const quoin_param& param : elements<quoin_param>(given.observer_params)) {
    QUOIN_TRY(auto scalar, scalar_from(param));
    spec.observer_params.emplace(text(param.name), std::move(scalar));
  }
  spec.eps = given.eps;
  spec.rule = given.rule;
  if (spec.kind == SpecKind::derived) spec.deriver = session.assignment.backend;
  if (spec.kind != SpecKind::fixed) return spec;
  if (given.zero_point < INT32_MIN || given.zero_point > INT32_MAX)
    return fail(Code::plugin, "zero point {} does not fit s32", given.zero_point);
  spec.scale = static_cast<float>(given.scale);
  spec.zero_point = static_cast<int32_t>(given.zero_point);
  return spec;
}

Status set_place(Session& session, quoin_place place, const quoin_qspec* given) {
  if (given == nullptr || given->struct_size < QUOIN_END_OF(quoin_qspec, kind))
    return fail(Code::plugin, "a spec is missing or too short");
  QUOIN_TRY(const ir::Place at, place_of(session, place));
  if (session.node_config[place.node] == QUOIN_NONE)
    return fail(Code::plugin, "{} is not to be quantized by this plugin", session.graph.describe(at.node));
  QUOIN_TRY(Spec spec, spec_from(session, widened(given)));
  QUOIN_CHECK(session.out.set(session.graph, at, std::move(spec), session.plugin()));
  if (session.out.verdicts[at.node].kind != Verdict::Kind::quantized)
    session.decide(Verdict::Kind::quantized, place.node, {}, "some of its places are quantized");
  return {};
}

// Nothing may leave a callback but its status.
template <class Body>
quoin_status guarded(Session& session, Body body) {
  try {
    auto status = body();
    if (status) return QUOIN_OK;
    session.diagnostics.warn("plugin " + session.plugin(), status.error().text(), "the plugin's request was refused");
    return QUOIN_INVALID;
  } catch (const std::exception& e) {
    session.broken = e.what();
    return QUOIN_INTERNAL;
  }
}

quoin_status on_set(void* self, quoin_place place, const quoin_qspec* spec) {
  auto& session = *static_cast<Session*>(self);
  return guarded(session, [&] { return set_place(session, place, spec); });
}

void on_match(void* self, const uint32_t* nodes, uint32_t count, quoin_str rule) {
  auto& session = *static_cast<Session*>(self);
  (void)guarded(session, [&]() -> Status {
    for (uint32_t i = 0; nodes != nullptr && i < count; ++i) {
      const auto node = session.node(nodes[i]);
      if (!node) return fail(Code::plugin, "node {} of the request does not exist", nodes[i]);
      if (session.node_config[nodes[i]] == QUOIN_NONE)
        return fail(Code::plugin, "{} is not to be quantized by this plugin", session.graph.describe(*node));
      session.decide(Verdict::Kind::quantized, nodes[i], text(rule), "covered by rule " + text(rule));
    }
    return {};
  });
}

void on_skip(void* self, uint32_t index, quoin_str reason) {
  auto& session = *static_cast<Session*>(self);
  (void)guarded(session, [&]() -> Status {
    const auto node = session.node(index);
    if (!node) return fail(Code::plugin, "node {} of the request does not exist", index);
    const bool asked = session.node_config[index] != QUOIN_NONE;
    if (asked && session.out.verdicts[*node].kind != Verdict::Kind::quantized)
      session.decide(Verdict::Kind::float_by_rule, index, {}, text(reason));
    return {};
  });
}

// Per node of the snapshot its config. Nodes that an earlier quantizer took are not offered again.
Result<std::vector<uint32_t>> configure(const ir::Graph& graph, const ir::Snapshot& snapshot,
                                        const Assignment& assignment, Configs& configs, Annotations& out) {
  const quoin_quantizer& quantizer = *assignment.backend->table().quantizer;
  const recipe::Quantizer& config = assignment.config;
  QUOIN_TRY(const auto deciding, resolve_scopes(graph, config.rules));
  QUOIN_TRY(const uint32_t global, configs.add(quantizer, config.preset, config.params, config.place.text));
  std::vector<uint32_t> of_rule(config.rules.size(), QUOIN_NONE);
  for (size_t i = 0; i < config.rules.size(); ++i) {
    const recipe::Rule& rule = config.rules[i];
    if (!rule.preset) continue;
    recipe::Params params = rule.params;  // the same preset inherits the parameters given for the whole model
    if (*rule.preset == configs.preset(global)) params.insert(config.params.begin(), config.params.end());
    QUOIN_TRY(of_rule[i], configs.add(quantizer, *rule.preset, params, rule.place.text));
  }
  std::vector<uint32_t> node_config;
  for (const ir::NodeId id : snapshot.node_ids()) {
    Verdict& verdict = out.verdicts[id];
    const bool taken = verdict.kind == Verdict::Kind::quantized;
    const auto rule = deciding[id];
    node_config.push_back(taken ? QUOIN_NONE : rule ? of_rule[*rule] : global);
    if (taken || node_config.back() != QUOIN_NONE) continue;
    verdict.kind = Verdict::Kind::float_by_recipe;
    verdict.plugin = assignment.backend->name();
    verdict.rule = config.rules[*rule].place.text;
    verdict.reason = "the recipe leaves it in float; remove the rule or give it a preset";
  }
  return node_config;
}

Status ask(const ir::Graph& graph, const Assignment& assignment, Annotations& out, Diagnostics& diagnostics) {
  const host::Backend& backend = *assignment.backend;
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  Configs configs;
  QUOIN_TRY(const auto node_config, configure(graph, snapshot, assignment, configs, out));
  Session session{graph, assignment, snapshot, node_config, configs, out, diagnostics, {}};
  const quoin_quant_request request{sizeof(quoin_quant_request), 0, snapshot.view(), configs.view(),
                                    node_config.data()};
  const quoin_annotator annotator{sizeof(quoin_annotator), 0, &session, on_set, on_match, on_skip};
  const auto called = host::call(backend.name(), [&](quoin_error* error) {
    return backend.table().quantizer->annotate(backend.handle(), &request, &annotator, error);
  });
  if (!session.broken.empty())
    return fail(Code::internal, "annotation by plugin {}: {}", backend.name(), session.broken);
  if (!called.ok()) return fail(in("annotate", called.error));
  return {};
}

void explain_rest(const ir::Graph& graph, const std::vector<Assignment>& assignments, Annotations& out) {
  std::string plugins;
  for (const Assignment& assignment : assignments)
    plugins += (plugins.empty() ? "" : ", ") + assignment.backend->name();
  for (const ir::NodeId id : graph.order()) {
    Verdict& verdict = out.verdicts[id];
    if (verdict.kind != Verdict::Kind::no_rule) continue;
    verdict.reason = plugins.empty() ? "the recipe names no quantizer"
                                     : fmt::format("no rule of {} covers {}", plugins, graph.node(id).op());
  }
}

}  // namespace

Status run_passes(ir::Graph& graph, const host::Backend& backend) {
  const quoin_quantizer* quantizer = backend.table().quantizer;
  if (quantizer == nullptr) return {};
  for (const quoin_str pass : elements<quoin_str>(quantizer->passes))
    if (auto status = passes::run(text(pass), graph); !status)
      return fail(in("plugin " + backend.name(), std::move(status).error()));
  return {};
}

Result<Annotations> annotate(ir::Graph& graph, const std::vector<Assignment>& assignments, Diagnostics& diagnostics) {
  for (const Assignment& assignment : assignments) {
    const host::Backend& backend = *assignment.backend;
    if (!QUOIN_HAS(quoin_quantizer, backend.table().quantizer, annotate))
      return fail(
          Error{Code::plugin, "it has no quantizer", "plugin " + backend.name(), "name it under lower.order instead"});
    QUOIN_CHECK(run_passes(graph, backend));
  }
  Annotations out;
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    Verdict& verdict = out.verdicts[id];
    verdict.node = node.name;
    verdict.op = node.op();
    verdict.module = node.module_path();
  }
  for (const Assignment& assignment : assignments) QUOIN_CHECK(ask(graph, assignment, out, diagnostics));
  explain_rest(graph, assignments, out);
  return out;
}

}  // namespace quoin::quantize
