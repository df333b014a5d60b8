// One table per backend: what it quantizes, what it takes and why not, in one list of rules.
//
//   constexpr Placement kInt8[] = {observe(operand(0), activation), observe(operand(1), weight)};
//   constexpr PresetSpecs kPresets[] = {{"int8", kInt8}};
//   constexpr Rule kRules[] = {{.name = "linear", .pattern = "linear [> relu|hardtanh]", .presets = kPresets,
//                               .forms = kInteger, .constraint = "the weight is a constant", .check =
//                               constant_weight}};
//   class Mine : public RuleBackend<Mine> { public: static const RuleTable& rules(); ... };
//
// From it come annotate(), partition() and the description ("org.quoin.rules.v1"); a backend that needs more defines
// the function itself. A rule is tried in table order on nodes in graph order; the first that holds takes its nodes.
#pragma once

#include <quoin/patterns.hpp>
#include <quoin/plugin.hpp>

// -- extension org.quoin.rules.v1: what `quoin plugin describe` prints
#define QUOIN_RULES_EXT "org.quoin.rules.v1"
typedef struct quoin_rule {
  quoin_str name, pattern, constraint;  // constraint: one sentence, or empty
  quoin_array presets;                  // of quoin_str: which presets quantize it
  uint32_t integer, real;               // 1: the backend computes it on integers, on floats
} quoin_rule;
typedef struct quoin_rules {
  quoin_ext base;
  quoin_array rules;  // of quoin_rule
  quoin_str summary, numerics;
  quoin_array limits;  // of quoin_str: what users run into, one sentence each
} quoin_rules;

namespace quoin::sdk {

// -- the parts of a rule

// Nodes a pattern matched, root first. Steps that were optional and absent leave no node.
struct Match {
  const Graph& graph;
  std::vector<Node> nodes;
  const Node& root() const { return nodes.front(); }
  const Node& last() const { return nodes.back(); }
  Value input(uint32_t slot) const { return graph.input(root(), slot); }
  Value output() const { return graph.output(last()); }
};

// How a reason ends that a preset, not the model, gives for a float node. Listings sum such nodes up.
inline constexpr std::string_view kLeftInFloat = " leaves it in float";
// How a reason starts for an operator that no rule is about.
inline constexpr std::string_view kNoRule = "no rule for ";
// The reason for data movement between float nodes.
inline constexpr std::string_view kMovesFloat = "moves data that is not quantized";
// Such reasons are no failure; any other one tells of a constraint that the node does not meet.
constexpr bool by_design(std::string_view reason) {
  return reason.ends_with(kLeftInFloat) || reason.starts_with(kNoRule) || reason == kMovesFloat;
}

// A place relative to a match: an operand of its root, the result of its last node, or the result of the node that
// computes an operand.
struct Spot {
  enum Kind : uint32_t { kOperand, kResult, kProducer } kind;
  uint32_t slot;
};
constexpr Spot operand(uint32_t slot) { return {Spot::kOperand, slot}; }
constexpr Spot result() { return {Spot::kResult, 0}; }
constexpr Spot producer_of(uint32_t slot) { return {Spot::kProducer, slot}; }

// Builds a spec from the preset's parameters, so that one placement serves every setting.
using MakeSpec = quoin_qspec (*)(const Match&, const Params&);
struct Placement {
  Spot at;
  MakeSpec make = nullptr;  // null: the spec is SHARED with sources[0]
  bool follow = false;      // SHARED with sources[0] where that exists, else `make`
  uint32_t num_sources = 0;
  Spot sources[2] = {};
};
constexpr Placement observe(Spot at, MakeSpec make) { return {at, make, false, 0, {}}; }
constexpr Placement share(Spot at, Spot with) { return {at, nullptr, false, 1, {with, {}}}; }
// An operand that takes the qparams of whoever computes it; a graph input gets its own.
constexpr Placement follow(uint32_t slot, MakeSpec make) {
  return {operand(slot), make, true, 1, {producer_of(slot), {}}};
}
constexpr Placement derive(Spot at, MakeSpec make, Spot a, Spot b) { return {at, make, false, 2, {a, b}}; }

struct PresetSpecs {
  std::string_view preset;
  std::span<const Placement> placements;
};

// kDynamic is added to the others: also where dims are known at run time only (Value::is_dynamic).
enum Form : uint32_t { kFloat = 1, kInteger = 2, kDynamic = 4 };

struct Rule {
  std::string_view name;
  PatternText pattern;
  std::span<const PresetSpecs> presets = {};
  uint32_t forms = 0;                // which forms of the nodes the backend can compute
  std::string_view constraint = {};  // what check() demands, for descriptions
  // Why the match cannot be taken, or "" when it can. Asked for float nodes (annotate, partition) and typed nodes.
  std::string (*check)(const Match&) = nullptr;
  bool follows = false;  // data movement: quantized only where its operand is, or where it feeds a quantized node
};

// True when integers flow through the node: an operand or result that is no constant carries qparams.
inline bool is_integer_node(const Graph& graph, const Node& node) {
  const auto typed = [&](uint32_t id) {
    return id != QUOIN_NONE && graph.value(id).raw.qparams != nullptr && !graph.value(id).is_constant();
  };
  return std::any_of(node.inputs().begin(), node.inputs().end(), typed) ||
         std::any_of(node.outputs().begin(), node.outputs().end(), typed);
}

// True when an operand or result follows the length of the run.
inline bool is_dynamic_node(const Graph& graph, const Node& node) {
  const auto dynamic = [&](uint32_t id) { return id != QUOIN_NONE && !graph.value(id).is_static(); };
  return std::any_of(node.inputs().begin(), node.inputs().end(), dynamic) ||
         std::any_of(node.outputs().begin(), node.outputs().end(), dynamic);
}

// -- the table

// What a page about the backend says besides its rules, presets and options.
struct About {
  std::string_view summary = {};           // what the backend runs on, and what it is good for
  std::string_view numerics = {};          // accumulators, rounding, where results may differ from the portable kernels
  std::span<const quoin_str> limits = {};  // one sentence each
};

class RuleTable {
 public:
  // `name` starts the tags of claims; the host names the plugin in reasons. Rules and texts need static storage.
  RuleTable(std::string_view name, std::span<const Rule> rules, const About& about = {})
      : name_(name), rules_(rules), preset_names_(rules.size()) {
    for (size_t i = 0; i < rules.size(); ++i) {
      patterns_.emplace_back(rules[i].pattern);
      for (const PresetSpecs& p : rules[i].presets) preset_names_[i].push_back(str(p.preset));
      described_.push_back({str(rules[i].name), str(rules[i].pattern), str(rules[i].constraint),
                            Array<quoin_str>::of(preset_names_[i]), (rules[i].forms & kInteger) != 0,
                            (rules[i].forms & kFloat) != 0});
    }
    extension_ = {{sizeof(quoin_rules), 1, QUOIN_RULES_EXT, nullptr},
                  Array<quoin_rule>::of(described_),
                  str(about.summary),
                  str(about.numerics),
                  Array<quoin_str>::of(about.limits)};
  }
  RuleTable(const RuleTable&) = delete;
  RuleTable& operator=(const RuleTable&) = delete;

  const quoin_ext* describe() const { return &extension_.base; }

  // Throws INVALID when a rule has specs for a preset that the backend does not offer.
  void check_presets(std::span<const quoin_preset> presets) const {
    for (const Rule& rule : rules_)
      for (const PresetSpecs& p : rule.presets)
        if (std::none_of(presets.begin(), presets.end(), [&](auto& known) { return view(known.name) == p.preset; }))
          throw Failure(QUOIN_INVALID, "rule " + std::string(rule.name) + " has specs for the preset \"" +
                                           std::string(p.preset) + "\", which the backend does not offer");
  }

  // Sets the specs of every rule that holds; tells why each other node the recipe selected stays in float.
  void annotate(const QuantRequest& request, Annotator& out) const {
    Quantized done(request);
    std::vector<Found> matches;
    std::vector<bool> covered(request.graph.num_nodes());
    for (uint32_t i = 0; i < request.graph.num_nodes(); ++i) {
      if (covered[i] || !request.config(i)) continue;
      Found found = find(request, i, covered);
      if (found.rule == nullptr) {
        out.skip(i, found.reason);
        continue;
      }
      for (const Node& n : found.match.nodes) covered[n.id()] = true;
      if (!found.rule->follows) done.computes.insert(i);
      matches.push_back(std::move(found));
    }
    for (const Found& found : matches) apply(request, found, done, out);
  }

  // Claims every node whose form a rule serves, in as few regions as possible; declines the others with the reason.
  void partition(const LowerRequest& request, Claims& out) const {
    const Graph& graph = request.graph;
    Regions regions(graph);
    for (uint32_t i = 0; i < graph.num_nodes(); ++i) {
      const std::string reason = why_not(graph, graph.node(i));
      if (!reason.empty()) out.decline(i, reason);
      regions.add(i, reason.empty());
    }
    for (const auto& [first, nodes] : regions.all()) out.claim(nodes, std::string(name_) + "." + std::to_string(first));
  }

  // Why the backend cannot compute one node as it stands, or "".
  std::string why_not(const Graph& graph, const Node& node) const {
    const bool integer = is_integer_node(graph, node), dynamic = is_dynamic_node(graph, node);
    std::string reason;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (!patterns_[i].starts_with(node)) continue;
      const char* form = integer ? " on integers" : " on floats";
      std::string no;
      if ((rules_[i].forms & (integer ? kInteger : kFloat)) == 0)
        no = "is not computed" + std::string(form);
      else if (rules_[i].check != nullptr)
        no = rules_[i].check({graph, {node}});
      if (no.empty() && dynamic && (rules_[i].forms & kDynamic) == 0)
        no = "is not computed on shapes that follow the length of a run";
      if (no.empty()) return {};
      if (reason.empty()) reason = "rule " + std::string(rules_[i].name) + ": " + no;
    }
    return reason.empty() ? std::string(kNoRule) + std::string(node.op()) : reason;
  }

 private:
  struct Found {
    const Rule* rule;
    Match match;
    std::string reason;  // when rule is null
  };
  struct Quantized {
    explicit Quantized(const QuantRequest& request) : results(request.graph.num_nodes()) {}
    std::vector<bool> results;    // per node: its result has a spec
    std::set<uint32_t> computes;  // roots of matches that compute, not only move data
  };

  static const PresetSpecs* specs_of(const Rule& rule, std::string_view preset) {
    const auto found =
        std::find_if(rule.presets.begin(), rule.presets.end(), [&](auto& p) { return p.preset == preset; });
    return found == rule.presets.end() ? nullptr : &*found;
  }

  Found find(const QuantRequest& request, uint32_t node, const std::vector<bool>& covered) const {
    const Graph& graph = request.graph;
    const uint32_t config = request.raw->node_config[node];
    const auto may_join = [&](uint32_t id) { return !covered[id] && request.raw->node_config[id] == config; };
    Found found{nullptr, {graph, {}}, std::string(kNoRule) + std::string(graph.node(node).op())};
    bool first = true;
    for (size_t i = 0; i < rules_.size(); ++i) {
      found.match.nodes = patterns_[i].match(graph, graph.node(node), may_join);
      if (found.match.nodes.empty()) continue;
      std::string no;
      if (specs_of(rules_[i], request.config(node)->preset) == nullptr)
        no = "preset " + std::string(request.config(node)->preset) + std::string(kLeftInFloat);
      else if (rules_[i].check != nullptr)
        no = rules_[i].check(found.match);
      if (no.empty()) {
        found.rule = &rules_[i];
        return found;
      }
      if (std::exchange(first, false)) found.reason = "rule " + std::string(rules_[i].name) + ": " + no;
    }
    return found;
  }

  // Data movement joins when its operand is quantized, or when it brings a graph input to a node that is.
  static bool may_follow(const Match& match, const Quantized& done) {
    const Value in = match.input(0);
    if (in.raw.producer != QUOIN_NONE) return done.results[in.raw.producer];
    const auto users = match.output().users();
    return !in.is_constant() && in.dtype() == QUOIN_F32 &&
           std::any_of(users.begin(), users.end(),
                       [&](const quoin_place& p) { return done.computes.contains(p.node); });
  }

  static quoin_place place(const Match& match, Spot spot) {
    if (spot.kind == Spot::kOperand) return {match.root().id(), spot.slot, 0, 0};
    if (spot.kind == Spot::kResult) return {match.last().id(), 0, 1, 0};
    return {match.input(spot.slot).raw.producer, 0, 1, 0};
  }

  void apply(const QuantRequest& request, const Found& found, Quantized& done, Annotator& out) const {
    const Match& match = found.match;
    if (found.rule->follows && !may_follow(match, done)) {
      for (const Node& n : match.nodes) out.skip(n.id(), kMovesFloat);
      return;
    }
    const QuantConfig config = *request.config(match.root().id());
    for (const Placement& p : specs_of(*found.rule, config.preset)->placements) {
      if (p.at.kind == Spot::kOperand && !match.root().has_input(p.at.slot)) continue;
      quoin_place sources[2];
      for (uint32_t i = 0; i < p.num_sources; ++i) sources[i] = place(match, p.sources[i]);
      const bool shared = p.make == nullptr || (p.follow && sources[0].node != QUOIN_NONE);
      quoin_qspec spec{};
      if (shared)
        spec.kind = QUOIN_SHARED;
      else
        spec = p.make(match, config.params);
      spec.struct_size = sizeof spec;
      spec.sources = sources;
      spec.num_sources = p.follow && !shared ? 0 : p.num_sources;
      if (!out.set(place(match, p.at), spec)) continue;
      if (p.at.kind == Spot::kResult) done.results[match.last().id()] = true;
    }
    std::vector<uint32_t> ids;
    for (const Node& n : match.nodes) ids.push_back(n.id());
    out.match(ids, found.rule->name);
  }

  std::string_view name_;
  std::span<const Rule> rules_;
  std::vector<Pattern> patterns_;
  std::vector<std::vector<quoin_str>> preset_names_;
  std::vector<quoin_rule> described_;
  quoin_rules extension_{};
};

// Mixin: the roles that follow from `static const RuleTable& rules()` of the backend. Each can be defined anew there.
template <class B>
class RuleBackend {
 public:
  void annotate(const QuantRequest& request, Annotator& annotator) { table().annotate(request, annotator); }
  void partition(const LowerRequest& request, Claims& claims) { table().partition(request, claims); }
  static const quoin_ext* extensions() {
    if constexpr (requires { B::presets; }) table().check_presets(B::presets);
    return table().describe();
  }

 private:
  static const RuleTable& table() {
    static_assert(
        requires { static_cast<const RuleTable&>(B::rules()); },
        "a RuleBackend needs `static const RuleTable& rules()`");
    return B::rules();
  }
};

}  // namespace quoin::sdk
