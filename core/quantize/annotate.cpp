// Asks the plugins' quantizers which places of the graph to quantize, and records why every node is as it is.
#include <quoin/rules.hpp>

#include <exception>

#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"
#include "quantize/abi_spec.hpp"
#include "quantize/composition.hpp"
#include "quantize/existing.hpp"
#include "quantize/in_model.hpp"
#include "quantize/preset.hpp"
#include "quantize/scope.hpp"

namespace quoin::quantize {
namespace {

constexpr const char* kModel = "model";  // "plugin" of what came quantized

// A quantizer of the recipe, ready to be asked.
struct Participant {
  const Assignment& assignment;
  Scope scope;
  std::string label;  // the plugin's name; with the place in the recipe when that names the plugin twice

  const host::Backend& backend() const { return *assignment.backend; }
  std::string plugin() const { return backend().name(); }
};

// One annotate() call of one plugin; the callbacks below see it as `self`.
struct Session {
  const ir::Graph& graph;
  const Participant& who;
  const ir::Snapshot& snapshot;
  const std::vector<uint32_t>& node_config;
  const Configs& configs;
  Annotations& out;
  Refusals& refusals;
  Diagnostics& diagnostics;
  std::string broken;  // what went wrong inside a callback that the plugin cannot know about

  std::string preset(uint32_t index) const {
    return node_config[index] == QUOIN_NONE ? std::string() : configs.preset(node_config[index]);
  }
  // The node, which this plugin may quantize.
  Result<ir::NodeId> offered(uint32_t index) const {
    QUOIN_TRY(const ir::Place place, place_from(snapshot.node_ids(), {index, 0, 0, 0}));
    if (node_config[index] != QUOIN_NONE) return place.node;
    const Verdict& verdict = out.verdicts.at(place.node);
    return fail(Code::plugin, "{} is not to be quantized by this plugin{}", graph.describe(place.node),
                verdict.kind == Verdict::Kind::quantized ? ": " + verdict.plugin + " has it" : "");
  }
  void quantized(uint32_t index, const std::string& rule) {
    Verdict& verdict = out.verdicts[snapshot.node_ids()[index]];
    verdict.kind = Verdict::Kind::quantized;
    verdict.plugin = who.plugin();
    verdict.preset = preset(index);
    verdict.rule = rule;
    verdict.reason = rule.empty() ? "some of its places are quantized" : "covered by rule " + rule;
  }
};

// What the place is to be quantized to: as the plugin wants it, unless the model has it quantized already.
Result<Spec> wanted_spec(Session& session, ir::Place at, const quoin_qspec* given) {
  QUOIN_TRY(Spec spec, spec_from(session.snapshot.node_ids(), given, session.who.assignment.backend));
  QUOIN_TRY(auto existing, existing_spec(session.graph, at));
  if (!existing) return spec;
  session.diagnostics.info(describe(session.graph, at),
                           "is quantized in the model already and stays " + summary(session.graph, *existing));
  return *std::move(existing);
}

Status set_place(Session& session, quoin_place place, const quoin_qspec* given) {
  QUOIN_TRY(const ir::Place at, place_from(session.snapshot.node_ids(), place));
  QUOIN_TRY(Spec spec, wanted_spec(session, at, given));
  if (const Spec* earlier = session.out.find(at); earlier != nullptr && session.out.by(at) != session.who.label) {
    if (*earlier == spec || earlier->existing) return {};
    return fail(conflict(session.graph, session.out, at, spec, session.who.label));
  }
  QUOIN_CHECK(session.offered(place.node));
  QUOIN_CHECK(session.out.set(session.graph, at, std::move(spec), session.who.label));
  if (session.out.verdicts[at.node].kind != Verdict::Kind::quantized) session.quantized(place.node, {});
  return {};
}

// Nothing may leave a callback but its status.
template <class Body>
quoin_status contained(Session& session, Body body) {
  try {
    auto status = body();
    if (status) return QUOIN_OK;
    session.diagnostics.warn("plugin " + session.who.label, status.error().text(), "the plugin's request was refused");
    return QUOIN_INVALID;
  } catch (const std::exception& e) {
    session.broken = e.what();
    return QUOIN_INTERNAL;
  }
}

quoin_status on_set(void* self, quoin_place place, const quoin_qspec* spec) {
  auto& session = *static_cast<Session*>(self);
  return contained(session, [&] { return set_place(session, place, spec); });
}

void on_match(void* self, const uint32_t* nodes, uint32_t count, quoin_str rule) {
  auto& session = *static_cast<Session*>(self);
  (void)contained(session, [&]() -> Status {
    for (uint32_t i = 0; nodes != nullptr && i < count; ++i) {
      QUOIN_CHECK(session.offered(nodes[i]));
      session.quantized(nodes[i], text(rule));
    }
    return {};
  });
}

void on_skip(void* self, uint32_t index, quoin_str reason) {
  auto& session = *static_cast<Session*>(self);
  (void)contained(session, [&]() -> Status {
    QUOIN_TRY(const ir::Place place, place_from(session.snapshot.node_ids(), {index, 0, 0, 0}));
    if (session.node_config[index] == QUOIN_NONE) return {};
    const std::string why = reason.size == 0 ? "gave no reason" : text(reason);
    if (why.starts_with(sdk::kNoRule)) return {};  // what offer() has said
    Verdict refusal;
    refusal.kind = Verdict::Kind::float_by_rule;
    refusal.plugin = session.who.plugin();
    refusal.preset = session.preset(index);
    refusal.reason = why;
    refusal.unintended = !sdk::by_design(why);
    session.refusals.add(place.node, session.who.label, std::move(refusal));
    return {};
  });
}

// The configs of a request: the quantizer's own preset, if it has one, and those of its rules.
struct Indices {
  uint32_t global = QUOIN_NONE;
  std::vector<uint32_t> of_rule;
};
Result<Indices> add_configs(const Participant& who, Configs& configs) {
  const quoin_quantizer& quantizer = *who.backend().table().quantizer;
  const recipe::Quantizer& config = who.assignment.config;
  Indices out;
  if (!config.preset && !config.params.empty())
    return fail(Code::recipe, "parameters without a preset have no effect")
        .at("{}", config.place.text)
        .hint("preset: null leaves everything in float; give the parameters to rules");
  if (config.preset) {
    QUOIN_TRY(out.global, configs.add(quantizer, *config.preset, config.params, config.place.text));
  }
  for (const recipe::Rule& rule : config.rules) {
    out.of_rule.push_back(QUOIN_NONE);
    if (!rule.preset) continue;
    recipe::Params params = rule.params;  // the same preset inherits the parameters given for the whole model
    if (out.global != QUOIN_NONE && *rule.preset == configs.preset(out.global))
      params.insert(config.params.begin(), config.params.end());
    QUOIN_TRY(out.of_rule.back(), configs.add(quantizer, *rule.preset, params, rule.place.text));
  }
  return out;
}

// Why the recipe keeps a node from a quantizer: by a filter, a rule or the quantizer's own null preset.
Verdict left_in_float(const Participant& who, const Choice& choice) {
  Verdict out{Verdict::Kind::float_by_recipe, who.plugin(), {}, choice.place, {}, {}, {}, choice.withheld};
  if (!choice.withheld.empty()) {
    if (!choice.place.empty()) out.reason += " at " + choice.place;
  } else if (choice.rule) {
    const Selection& rule = who.scope.rule(*choice.rule);
    out.rule = rule.place();
    out.reason = "left in float by the rule " + rule.label();
  } else {
    out.rule = who.assignment.config.place.text;
    out.reason = fmt::format("left in float by preset: null at {}; no rule selects it", out.rule);
  }
  return out;
}

// Per node of the snapshot its config. Nodes that an earlier quantizer took are not offered again.
std::vector<uint32_t> offer(const ir::Graph& graph, const ir::Snapshot& snapshot, const Participant& who,
                            const History& history, const Indices& indices, const Annotations& out,
                            Refusals& refusals) {
  std::vector<uint32_t> node_config;
  for (const ir::NodeId id : snapshot.node_ids()) {
    const Choice choice = who.scope.choose(graph, id, history);
    const uint32_t config = !choice.withheld.empty() ? QUOIN_NONE
                            : choice.rule            ? indices.of_rule[*choice.rule]
                                                     : indices.global;
    const Verdict& verdict = out.verdicts.at(id);
    const bool taken = verdict.kind == Verdict::Kind::quantized && verdict.plugin != kModel;
    node_config.push_back(taken ? QUOIN_NONE : config);
    if (taken) continue;
    Verdict refusal = left_in_float(who, choice);
    if (config != QUOIN_NONE) {  // holds until the plugin says something about the node
      refusal = {};
      refusal.reason = std::string(sdk::kNoRule) + graph.node(id).op();
      refusal.unintended = choice.rule && who.scope.rule(*choice.rule).names_nodes();
    }
    refusals.add(id, who.label, std::move(refusal));
  }
  return node_config;
}

Status ask(const ir::Graph& graph, const Participant& who, const History& history, Annotations& out, Refusals& refusals,
           Diagnostics& diagnostics) {
  const host::Backend& backend = who.backend();
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  Configs configs;
  QUOIN_TRY(const Indices indices, add_configs(who, configs));
  const std::vector<uint32_t> node_config = offer(graph, snapshot, who, history, indices, out, refusals);
  Session session{graph, who, snapshot, node_config, configs, out, refusals, diagnostics, {}};
  const quoin_quant_request request{sizeof(quoin_quant_request), who.assignment.is_qat, snapshot.view(), configs.view(),
                                    node_config.data()};
  const quoin_annotator annotator{sizeof(quoin_annotator), 0, &session, on_set, on_match, on_skip};
  auto called = host::call(backend.name(), [&](quoin_error* error) {
    return backend.table().quantizer->annotate(backend.handle(), &request, &annotator, error);
  });
  if (!session.broken.empty())
    return fail(Code::internal, "annotation by plugin {}: {}", backend.name(), session.broken);
  if (!called.ok()) return std::move(called.done).failure().at("annotate");
  return {};
}

Result<std::vector<Participant>> participants_of(const std::vector<Assignment>& assignments) {
  std::vector<Participant> out;
  for (const Assignment& assignment : assignments) {
    const std::string name = assignment.backend->name();
    if (!QUOIN_HAS(quoin_quantizer, assignment.backend->table().quantizer, annotate))
      return fail(Code::plugin, "it has no quantizer").at("plugin {}", name).hint("name it under lower.order instead");
    QUOIN_TRY(Scope scope, Scope::of(assignment.config, assignment.filter));
    const auto namesakes = std::count_if(assignments.begin(), assignments.end(),
                                         [&](const Assignment& other) { return other.backend->name() == name; });
    const std::string& place = assignment.config.place.text;
    std::string label = namesakes == 1  ? name
                        : place.empty() ? fmt::format("{} #{}", name, out.size() + 1)
                                        : fmt::format("{} ({})", name, place);
    out.push_back({assignment, std::move(scope), std::move(label)});
  }
  return out;
}

// The passes of the recipe on what any quantizer wants, then those of each plugin on what that one wants.
Status rewrite(ir::Graph& graph, const std::vector<Participant>& participants, const History& history,
               const FirstPasses& first) {
  const NodeFilter wanted = [&](const ir::Graph& g, ir::NodeId id) {
    return std::any_of(participants.begin(), participants.end(),
                       [&](const Participant& who) { return who.scope.wants(g, id, history); });
  };
  for (const recipe::Pass& pass : first.names)
    QUOIN_CHECK_AT(first.registry.run(pass.name, graph, wanted, Code::recipe), "{}", pass.place.text);
  for (const Participant& who : participants) {
    const NodeFilter own = [&](const ir::Graph& g, ir::NodeId id) { return who.scope.wants(g, id, history); };
    for (const quoin_str pass : elements<quoin_str>(who.backend().table().quantizer->passes))
      QUOIN_CHECK_AT(first.registry.run(text(pass), graph, own), "plugin {}", who.plugin());
  }
  return {};
}

// Nodes that come quantized are nobody's yet: a quantizer may still take them, but keeps their qparams.
Status start_verdicts(const ir::Graph& graph, Annotations& out) {
  QUOIN_TRY(const auto in_model, quantized_in_model(graph));
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    Verdict& verdict = out.verdicts[id];
    verdict.node = node.name;
    verdict.op = node.op();
    verdict.module = node.module_path();
    const auto found = in_model.find(id);
    if (found == in_model.end()) continue;
    verdict.kind = Verdict::Kind::quantized;
    verdict.plugin = kModel;
    verdict.reason = found->second;
  }
  return {};
}

}  // namespace

Status run_passes(ir::Graph& graph, const host::Backend& backend, const passes::Registry& registry) {
  const quoin_quantizer* quantizer = backend.table().quantizer;
  if (quantizer == nullptr) return {};
  for (const quoin_str name : elements<quoin_str>(quantizer->passes)) {
    const passes::Pass* pass = registry.find(text(name));
    if (pass != nullptr && pass->decomposes) continue;
    QUOIN_CHECK_AT(registry.run(text(name), graph), "plugin {}", backend.name());
  }
  return {};
}

Result<Annotations> annotate(ir::Graph& graph, const std::vector<Assignment>& assignments, Diagnostics& diagnostics,
                             const FirstPasses& first) {
  QUOIN_TRY(std::vector<Participant> participants, participants_of(assignments));
  const History history(graph);
  for (Participant& who : participants) who.scope.note(graph);
  QUOIN_CHECK(rewrite(graph, participants, history, first));

  Annotations out;
  Refusals refusals;
  QUOIN_CHECK(start_verdicts(graph, out));
  for (Participant& who : participants) {
    who.scope.note(graph, history);
    QUOIN_CHECK(who.scope.check_all_used(graph));
    QUOIN_CHECK(ask(graph, who, history, out, refusals, diagnostics));
  }
  refusals.settle(graph, out);
  report_meetings(graph, out, diagnostics);
  return out;
}

}  // namespace quoin::quantize
