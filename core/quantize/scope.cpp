#include "quantize/scope.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace quoin::quantize {
namespace {

using recipe::Pattern;

constexpr std::string_view kModuleType = "module type";

// The whole type or what follows one of its dots: "conv.Conv2d" and "Conv2d" name torch.nn.modules.conv.Conv2d.
bool fits_type(const Pattern& pattern, std::string_view type) {
  while (!pattern.matches(type)) {
    const size_t dot = type.find('.');
    if (dot == std::string_view::npos) return false;
    type.remove_prefix(dot + 1);
  }
  return true;
}

bool fits_node(const Pattern& pattern, const ir::Node& node) {
  return pattern.matches(node.name) || std::any_of(node.origins.begin(), node.origins.end(),
                                                   [&](const std::string& name) { return pattern.matches(name); });
}

bool fits_op(const Pattern& pattern, const ir::Graph& graph, ir::NodeId id, const History& history) {
  const ir::Node& node = graph.node(id);
  if (pattern.matches(node.op())) return true;
  return history.replaced(id) && std::any_of(node.origins.begin(), node.origins.end(), [&](const std::string& name) {
           const std::string* op = history.op(name);
           return op != nullptr && pattern.matches(*op);
         });
}

// 1 + the index of the outermost module that fits; 0: none does.
template <class Fits>
size_t depth(const ir::Node& node, Fits fits) {
  const auto found = std::find_if(node.modules.begin(), node.modules.end(), fits);
  return found == node.modules.end() ? 0 : static_cast<size_t>(found - node.modules.begin()) + 1;
}

struct Names {
  std::set<std::string> nodes, modules, types, ops;
};

Names names_in(const ir::Graph& graph) {
  Names out;
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    out.nodes.insert(node.name);
    out.ops.insert(node.op());
    for (const ir::ModuleFrame& frame : node.modules) {
      out.modules.insert(frame.path);
      if (frame.type.empty()) continue;
      out.types.insert(frame.type);
      out.types.insert(frame.type.substr(frame.type.rfind('.') + 1));
    }
  }
  return out;
}

// One selector, and the names in the graph that it could have meant.
struct Part {
  const std::optional<Pattern>& pattern;
  const std::optional<std::string>& text;
  const std::set<std::string>& names;
  std::string_view kind;
};

// What to tell about a selector that fits none of the names; "" when it fits one.
std::string hint_for(const Part& part) {
  const bool is_type = part.kind == kModuleType;
  const auto fits = [&](const std::string& name) {
    return is_type ? fits_type(*part.pattern, name) : part.pattern->matches(name);
  };
  if (!part.pattern || std::any_of(part.names.begin(), part.names.end(), fits)) return {};
  if (part.names.empty()) return fmt::format("the model has no {}s; select by node or op", part.kind);
  const std::string& first = *part.names.begin();
  if (part.pattern->kind() == Pattern::Kind::regex)
    return fmt::format("the regular expression must match a whole {}, for example \"{}\"", part.kind, first);
  std::string near = did_you_mean(*part.text, std::vector<std::string>(part.names.begin(), part.names.end()));
  return near.empty() ? fmt::format("a {} looks like \"{}\"", part.kind, first) : near;
}

Result<std::optional<Pattern>> compiled(const std::optional<std::string>& text, const std::string& place) {
  if (!text) return std::nullopt;
  auto pattern = Pattern::parse(*text);
  if (!pattern) return std::move(pattern).failure().at("{}", place);
  return std::optional(*std::move(pattern));
}

}  // namespace

History::History(const ir::Graph& before) : first_new_(before.node_capacity()) {
  for (const ir::NodeId id : before.order()) ops_.emplace(before.node(id).name, before.node(id).op());
}

const std::string* History::op(const std::string& name) const {
  const auto found = ops_.find(name);
  return found == ops_.end() ? nullptr : &found->second;
}

Result<Selection> Selection::of(const recipe::Selector& selector) {
  Selection out;
  out.selector_ = selector;
  QUOIN_TRY(out.node_, compiled(selector.node, selector.place.text));
  QUOIN_TRY(out.module_, compiled(selector.module, selector.place.text));
  QUOIN_TRY(out.type_, compiled(selector.module_type, selector.place.text));
  QUOIN_TRY(out.op_, compiled(selector.op, selector.place.text));
  return out;
}

std::optional<Specificity> Selection::specificity(const ir::Graph& graph, ir::NodeId id, const History& history) const {
  const ir::Node& node = graph.node(id);
  if (node_ && !fits_node(*node_, node)) return std::nullopt;
  if (op_ && !fits_op(*op_, graph, id, history)) return std::nullopt;
  const size_t module = module_ ? depth(node, [&](const auto& f) { return module_->matches(f.path); }) : 0;
  const size_t type = type_ ? depth(node, [&](const auto& f) { return fits_type(*type_, f.type); }) : 0;
  if ((module_ && module == 0) || (type_ && type == 0)) return std::nullopt;

  Specificity out{};
  size_t at = 0;
  const auto add = [&](const std::optional<Pattern>& pattern, std::optional<size_t> inside = {}) {
    out[at++] = pattern ? 1 : 0;
    if (inside) out[at++] = *inside;
    out[at++] = pattern ? static_cast<size_t>(pattern->kind()) : 0;
    out[at++] = pattern ? pattern->literal() : 0;
  };
  add(node_);
  add(module_, module);
  add(type_, type);
  add(op_);
  return out;
}

std::string Selection::hint(const ir::Graph& graph) const {
  const Names names = names_in(graph);
  for (const Part& part :
       {Part{node_, selector_.node, names.nodes, "node name"},
        Part{module_, selector_.module, names.modules, "module path"},
        Part{type_, selector_.module_type, names.types, kModuleType}, Part{op_, selector_.op, names.ops, "operator"}})
    if (std::string words = hint_for(part); !words.empty()) return words;
  return "each selector fits nodes, but none fits them all; `quoin explain` lists nodes, modules and operators";
}

std::string Selection::words() const {
  std::vector<std::string> parts;
  if (selector_.node) parts.push_back("node " + *selector_.node);
  if (selector_.module) parts.push_back("module " + *selector_.module);
  if (selector_.module_type) parts.push_back("module_type " + *selector_.module_type);
  if (selector_.op) parts.push_back("op " + *selector_.op);
  return parts.empty() ? "everything" : join(parts, ", ");
}

std::string Selection::label() const { return place().empty() ? words() : fmt::format("{} ({})", place(), words()); }

Result<Scope> Scope::of(const recipe::Quantizer& quantizer, NodeFilter filter) {
  Scope out;
  for (const recipe::Rule& rule : quantizer.rules) {
    QUOIN_TRY(out.rules_.emplace_back(), Selection::of(rule));
    out.has_preset_.push_back(rule.preset.has_value());
  }
  for (const auto& [from, to] : {std::pair{&quantizer.include, &out.include_}, {&quantizer.exclude, &out.exclude_}}) {
    for (const recipe::Selector& selector : *from) {
      QUOIN_TRY(const Selection entry, Selection::of(selector));
      if (entry.is_empty())
        return fail(Code::recipe, "a filter entry without selectors")
            .at("{}", selector.place.text)
            .hint("give it module, module_type, op or node");
      to->push_back(entry);
    }
  }
  out.global_preset_ = quantizer.preset.has_value();
  out.filter_ = std::move(filter);
  out.used_.resize(out.rules_.size() + out.include_.size() + out.exclude_.size());
  return out;
}

Choice Scope::choose(const ir::Graph& graph, ir::NodeId id, const History& history) const {
  const auto applies = [&](const Selection& entry) { return entry.applies(graph, id, history); };
  Choice out;
  if (!include_.empty() && std::none_of(include_.begin(), include_.end(), applies))
    return {{}, "left in float: include does not select it", include_.front().place()};
  if (const auto entry = std::find_if(exclude_.begin(), exclude_.end(), applies); entry != exclude_.end())
    return {{}, fmt::format("left in float by exclude ({})", entry->words()), entry->place()};
  if (filter_ && !filter_(graph, id)) return {{}, "left in float by the filter function of the application", {}};
  std::optional<Specificity> best;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const auto found = rules_[i].specificity(graph, id, history);
    if (!found || (best && *found < *best)) continue;
    best = found;
    out.rule = i;
  }
  return out;
}

bool Scope::wants(const ir::Graph& graph, ir::NodeId id, const History& history) const {
  const Choice choice = choose(graph, id, history);
  return choice.withheld.empty() && (choice.rule ? has_preset_[*choice.rule] : global_preset_);
}

void Scope::note(const ir::Graph& graph, const History& history) {
  size_t at = 0;
  for (const auto* list : {&rules_, &include_, &exclude_}) {
    for (const Selection& entry : *list) {
      const auto applies = [&](ir::NodeId id) { return entry.applies(graph, id, history); };
      if (!used_[at]) used_[at] = std::any_of(graph.order().begin(), graph.order().end(), applies);
      ++at;
    }
  }
}

Status Scope::check_all_used(const ir::Graph& graph) const {
  size_t at = 0;
  for (const auto& [list, kind] :
       {std::pair{&rules_, "the rule for"}, {&include_, "include"}, {&exclude_, "exclude"}}) {
    for (const Selection& entry : *list)
      if (!used_[at++])
        return fail(Code::recipe, "{} {} matches no node", kind, entry.words())
            .at("{}", entry.place())
            .hint(entry.hint(graph));
  }
  return {};
}

}  // namespace quoin::quantize
