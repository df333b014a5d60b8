// Which rule of a recipe decides about which node, and which nodes a quantizer may see: resolved here once, for recipes
// and C++ alike. The precedence is in docs/quantization.md, "Selecting what is quantized".
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "passes/passes.hpp"
#include "recipe/pattern.hpp"
#include "recipe/recipe.hpp"

namespace quoin::quantize {

using passes::NodeFilter;

// The operators before graph passes, by node name: a node that a pass made also answers to the operator it stands for,
// so that a rule for aten.hardswish.default covers what hardswish was decomposed into.
class History {
 public:
  History() = default;
  explicit History(const ir::Graph& before);
  bool replaced(ir::NodeId id) const { return id >= first_new_; }
  // The operator that a node of this name had; null: there was none.
  const std::string* op(const std::string& name) const;

 private:
  ir::NodeId first_new_ = ir::kNone;
  std::map<std::string, std::string> ops_;
};

// How closely a rule is about a node; the larger decides.
using Specificity = std::array<size_t, 14>;

// The selectors of a recipe, compiled.
class Selection {
 public:
  // Errors (recipe): a regular expression that is not valid, with the place of the selector.
  static Result<Selection> of(const recipe::Selector& selector);
  // All selectors hold for the node. A module or module type selector holds when any module around the node fits, so it
  // covers everything inside that module.
  bool applies(const ir::Graph& graph, ir::NodeId id, const History& history = {}) const {
    return specificity(graph, id, history).has_value();
  }
  // Nothing: the selection does not apply to the node.
  std::optional<Specificity> specificity(const ir::Graph& graph, ir::NodeId id, const History& history = {}) const;
  bool names_nodes() const { return node_ || op_; }  // not only whole modules
  bool is_empty() const { return !node_ && !module_ && !type_ && !op_; }
  // Why nothing applies: the nearest name for the first selector that fits nothing.
  std::string hint(const ir::Graph& graph) const;
  const std::string& place() const { return selector_.place.text; }
  std::string words() const;  // "module head, op aten.linear.default"
  std::string label() const;  // "r.yaml:5:7 (module head)"

 private:
  recipe::Selector selector_;
  std::optional<recipe::Pattern> node_, module_, type_, op_;
};

// What one quantizer is to do with one node.
struct Choice {
  std::optional<size_t> rule;  // the deciding rule; nothing: the quantizer's own preset
  std::string withheld;        // why a filter keeps the node from the quantizer; "": none does
  std::string place;           // of that filter
};

// Rules and filters of one quantizer.
class Scope {
 public:
  // Errors (recipe): see Selection::of; a filter entry without selectors.
  static Result<Scope> of(const recipe::Quantizer& quantizer, NodeFilter filter = {});
  Choice choose(const ir::Graph& graph, ir::NodeId id, const History& history = {}) const;
  // The choice gives the node a preset.
  bool wants(const ir::Graph& graph, ir::NodeId id, const History& history = {}) const;
  const Selection& rule(size_t index) const { return rules_[index]; }

  // Remembers which rules and filter entries apply to a node of the graph.
  void note(const ir::Graph& graph, const History& history = {});
  // Errors (recipe): one applied to nothing in any graph that was noted; with the nearest name in `graph`.
  Status check_all_used(const ir::Graph& graph) const;

 private:
  std::vector<Selection> rules_, include_, exclude_;
  std::vector<bool> has_preset_;  // per rule
  bool global_preset_ = true;
  NodeFilter filter_;
  std::vector<bool> used_;  // rules, then include, then exclude
};

}  // namespace quoin::quantize
