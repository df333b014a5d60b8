#include "source/rules.hpp"

#include <algorithm>

namespace quoin::source {

Result<Rules> Rules::of(std::vector<Rule> rules) {
  Rules out;
  for (const Rule& rule : rules) {
    QUOIN_TRY(out.selections_.emplace_back(), quantize::Selection::of(rule));
    if (!rule.config) continue;
    QUOIN_CHECK_AT(check(*rule.config), "{}", rule.place.text);
  }
  out.used_.resize(rules.size());
  out.rules_ = std::move(rules);
  return out;
}

const Rule* Rules::choose(const ir::Graph& graph, ir::NodeId id, LayerConfig::Target kind) {
  std::optional<quantize::Specificity> best;
  const Rule* out = nullptr;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].config && rules_[i].config->target != kind) continue;
    const auto found = selections_[i].specificity(graph, id);
    if (!found) continue;
    used_[i] = true;
    if (best && *found < *best) continue;
    best = found;
    out = &rules_[i];
  }
  return out;
}

Status Rules::check_all_used(const ir::Graph& graph) const {
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (used_[i]) continue;
    const quantize::Selection& selection = selections_[i];
    const bool fits = std::ranges::any_of(graph.order(), [&](ir::NodeId id) { return selection.applies(graph, id); });
    const std::string_view kind = !rules_[i].config                                            ? "layer to quantize"
                                  : rules_[i].config->target == LayerConfig::Target::embedding ? "embedding"
                                                                                               : "linear layer";
    return fail(Code::recipe, "the rule for {} matches no {}", selection.words(), kind)
        .at("{}", selection.place())
        .hint(fits ? "what it selects is of another kind; `quoin explain` lists operators" : selection.hint(graph));
  }
  return {};
}

std::string Rules::label(const Rule& rule) const {
  return selections_[static_cast<size_t>(&rule - rules_.data())].label();
}

bool Rules::is_calibrated() const {
  return std::ranges::any_of(
      rules_, [](const Rule& rule) { return rule.config && source::is_calibrated(rule.config->algorithm); });
}

}  // namespace quoin::source
