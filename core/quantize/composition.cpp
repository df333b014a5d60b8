#include "quantize/composition.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace quoin::quantize {
namespace {

int strength(const Verdict& refusal) {
  if (refusal.unintended) return 3;
  switch (refusal.kind) {
    case Verdict::Kind::float_by_rule:
      return 2;
    case Verdict::Kind::no_rule:
      return 1;
    default:
      return 0;
  }
}

// Equal but for the permission to merge, which says nothing about the numbers.
bool same_numbers(const Spec& a, Spec b) {
  b.implicit_sharing = a.implicit_sharing;
  return a == b;
}

// The place where a chain of shared specs ends; nothing: it ends nowhere (prepare reports that).
std::optional<ir::Place> root_of(const Annotations& annotations, ir::Place place) {
  for (size_t steps = 0; steps <= annotations.all().size(); ++steps) {
    const Spec* spec = annotations.find(place);
    if (spec == nullptr) return std::nullopt;
    if (spec->kind != SpecKind::shared) return place;
    place = spec->sources[0];
  }
  return std::nullopt;
}

// Per quantizer the static specs that it set itself on values which flow between nodes.
std::map<std::string, std::vector<Spec>> own_specs(const ir::Graph& graph, const Annotations& annotations) {
  std::map<std::string, std::vector<Spec>> out;
  for (const auto& [place, spec] : annotations.all()) {
    if (spec.kind != SpecKind::observed || spec.dynamic || graph.is_constant(value_at(graph, place))) continue;
    std::vector<Spec>& list = out[annotations.by(place)];
    const auto equal = [&one = spec](const Spec& known) { return same_numbers(known, one); };
    if (std::none_of(list.begin(), list.end(), equal)) list.push_back(spec);
  }
  return out;
}

void report_sharing(const ir::Graph& graph, const Annotations& annotations, Diagnostics& diagnostics) {
  const auto own = own_specs(graph, annotations);
  for (const auto& [place, spec] : annotations.all()) {
    if (spec.kind != SpecKind::shared) continue;
    const auto root = root_of(annotations, place);
    const std::string& by = annotations.by(place);
    if (!root || annotations.by(*root) == by || !own.contains(by)) continue;
    const Spec& other = *annotations.find(*root);
    const std::vector<Spec>& known = own.at(by);
    if (std::any_of(known.begin(), known.end(), [&](const Spec& mine) { return same_numbers(mine, other); })) continue;
    diagnostics.warn(
        describe(graph, place),
        fmt::format("{} shares the qparams of {} ({}: {}), but asks for {} elsewhere", by, describe(graph, *root),
                    annotations.by(*root), summary(graph, other), summary(graph, known.front())),
        "give both quantizers equal presets, or leave the node to the first");
  }
}

void report_requantization(const ir::Graph& graph, const Annotations& annotations, Diagnostics& diagnostics) {
  for (const auto& [place, spec] : annotations.all()) {
    if (place.output) continue;
    const ir::Value& value = graph.value(value_at(graph, place));
    if (value.producer == ir::kNone) continue;
    const ir::Place result{value.producer, value.output_index, true};
    const auto from = root_of(annotations, result), to = root_of(annotations, place);
    if (!from || !to || annotations.by(result) == annotations.by(place)) continue;
    const Spec &before = *annotations.find(*from), &after = *annotations.find(*to);
    if (same_numbers(before, after)) continue;
    diagnostics.info(describe(graph, place),
                     fmt::format("requantized from {} ({}) to {} ({})", summary(graph, before), annotations.by(result),
                                 summary(graph, after), annotations.by(place)));
  }
}

}  // namespace

void Refusals::add(ir::NodeId node, const std::string& by, Verdict refusal) {
  auto& list = of_node_[node];
  const auto earlier = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.first == by; });
  if (earlier == list.end()) {
    list.emplace_back(by, std::move(refusal));
    return;
  }
  refusal.unintended = refusal.unintended || earlier->second.unintended;
  earlier->second = std::move(refusal);
}

void Refusals::settle(const ir::Graph& graph, Annotations& annotations) const {
  for (const ir::NodeId id : graph.order()) {
    Verdict& verdict = annotations.verdicts[id];
    if (verdict.kind == Verdict::Kind::quantized) continue;
    const auto found = of_node_.find(id);
    if (found == of_node_.end()) {
      verdict.reason = "the recipe names no quantizer";
      continue;
    }
    std::vector<std::string> reasons;
    const Verdict* strongest = nullptr;
    for (const auto& [by, refusal] : found->second) {
      reasons.push_back(by + ": " + refusal.reason);
      if (strongest == nullptr || strength(refusal) > strength(*strongest)) strongest = &refusal;
    }
    verdict.kind = strongest->kind;
    verdict.plugin = strongest->plugin;
    verdict.preset = strongest->preset;
    verdict.rule = strongest->rule;
    verdict.unintended = strongest->unintended;
    verdict.reason = join(reasons, "; ");
  }
}

Error conflict(const ir::Graph& graph, const Annotations& annotations, ir::Place place, const Spec& wanted,
               const std::string& by) {
  return {Code::plugin,
          fmt::format("{} has set {}, {} asks for {}", annotations.by(place), summary(graph, *annotations.find(place)),
                      by, summary(graph, wanted)),
          describe(graph, place), "the first quantizer wins; exclude the node from one of them to choose"};
}

void report_meetings(const ir::Graph& graph, const Annotations& annotations, Diagnostics& diagnostics) {
  report_sharing(graph, annotations, diagnostics);
  report_requantization(graph, annotations, diagnostics);
}

}  // namespace quoin::quantize
