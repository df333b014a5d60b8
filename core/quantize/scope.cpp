#include "quantize/scope.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.hpp"

namespace quoin::quantize {
namespace {

bool module_type_fits(std::string_view wanted, std::string_view type) {
  if (wanted == type) return true;
  return type.size() > wanted.size() && type.ends_with(wanted) && type[type.size() - wanted.size() - 1] == '.';
}

bool is_node(std::string_view wanted, const ir::Node& node) {
  return node.name == wanted || std::find(node.origins.begin(), node.origins.end(), wanted) != node.origins.end();
}

auto specificity(const recipe::Rule& rule) {
  const size_t prefix = rule.module ? std::min(rule.module->find_first_of("*?"), rule.module->size()) : 0;
  return std::tuple(rule.node.has_value(), rule.module.has_value(), prefix, rule.module_type.has_value(),
                    rule.op.has_value());
}

// The hint for a rule without effect: the name in the graph that is nearest to the first selector that fits nothing.
std::string nearest_selector(const recipe::Rule& rule, const ir::Graph& graph) {
  std::set<std::string> nodes, modules, types, ops;
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    nodes.insert(node.name);
    ops.insert(node.op());
    for (const ir::ModuleFrame& frame : node.modules) {
      modules.insert(frame.path);
      types.insert(frame.type);
      types.insert(frame.type.substr(frame.type.rfind('.') + 1));
    }
  }
  const auto hint = [](const std::optional<std::string>& wanted, const std::set<std::string>& known) -> std::string {
    if (!wanted || known.contains(*wanted)) return {};
    return did_you_mean(*wanted, std::vector<std::string>(known.begin(), known.end()));
  };
  for (const auto& [wanted, known] :
       {std::pair{&rule.node, &nodes}, {&rule.module, &modules}, {&rule.module_type, &types}, {&rule.op, &ops}})
    if (std::string text = hint(*wanted, *known); !text.empty()) return text;
  return "`quoin explain` lists nodes, modules and operators";
}

std::string selectors(const recipe::Rule& rule) {
  std::vector<std::string> parts;
  if (rule.node) parts.push_back("node " + *rule.node);
  if (rule.module) parts.push_back("module " + *rule.module);
  if (rule.module_type) parts.push_back("module_type " + *rule.module_type);
  if (rule.op) parts.push_back("op " + *rule.op);
  return parts.empty() ? "without selectors" : join(parts, ", ");
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool applies(const recipe::Rule& rule, const ir::Node& node) {
  const auto any_module = [&](auto fits) { return std::any_of(node.modules.begin(), node.modules.end(), fits); };
  if (rule.node && !is_node(*rule.node, node)) return false;
  if (rule.op && *rule.op != node.op()) return false;
  if (rule.module && !any_module([&](const auto& frame) { return glob_match(*rule.module, frame.path); })) return false;
  return !rule.module_type ||
         any_module([&](const auto& frame) { return module_type_fits(*rule.module_type, frame.type); });
}

Result<std::vector<std::optional<size_t>>> resolve_scopes(const ir::Graph& graph,
                                                          const std::vector<recipe::Rule>& rules) {
  std::vector<std::optional<size_t>> deciding(graph.node_capacity());
  for (size_t i = 0; i < rules.size(); ++i) {
    bool matched = false;
    for (const ir::NodeId id : graph.order()) {
      if (!applies(rules[i], graph.node(id))) continue;
      matched = true;
      auto& winner = deciding[id];
      if (!winner || specificity(rules[*winner]) <= specificity(rules[i])) winner = i;
    }
    if (!matched)
      return fail(Error{Code::recipe, fmt::format("the rule for {} matches no node", selectors(rules[i])),
                        rules[i].place.text, nearest_selector(rules[i], graph)});
  }
  return deciding;
}

}  // namespace quoin::quantize
