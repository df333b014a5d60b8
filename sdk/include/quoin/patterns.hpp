// Patterns of operators, matched in a graph; and the regions that matched nodes form. Part of quoin/rules.hpp.
#pragma once

#include <quoin/graph.hpp>

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace quoin::sdk {

namespace detail {
// Never defined: a pattern that calls one of them does not compile, and the compiler names it.
void a_pattern_needs_an_operator_in_every_step();
void a_pattern_needs_brackets_around_an_optional_step();
void a_pattern_has_a_character_that_no_operator_has();
}  // namespace detail

// Steps "a|b > c [> d|e]": alternatives by |, optional steps in brackets; every value between two steps has one user.
// "conv2d" names aten.conv2d.default, "add.Tensor" aten.add.Tensor, "quoin.quantize" quoin.quantize.default.
class PatternText {
 public:
  consteval PatternText(const char* text) : PatternText(std::string_view(text)) {}
  consteval PatternText(std::string_view text) : text_(text) {
    bool bracket = false, named = false, step_named = false;
    for (const char c : text) {
      const bool word =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
      if (!word && std::string_view(" |>[]").find(c) == text.npos)
        detail::a_pattern_has_a_character_that_no_operator_has();
      if (c == '|' && !named) detail::a_pattern_needs_an_operator_in_every_step();
      if (c == '>' && !bracket && !step_named) detail::a_pattern_needs_an_operator_in_every_step();
      if ((c == '[' && (bracket || !step_named)) || (c == ']' && (!bracket || !step_named)))
        detail::a_pattern_needs_brackets_around_an_optional_step();
      if (c == '[' || c == ']') bracket = c == '[';
      if (c == '|' || c == '>') named = false;
      if (c == '>') step_named = false;
      if (word) named = step_named = true;
    }
    if (bracket) detail::a_pattern_needs_brackets_around_an_optional_step();
    if (!named) detail::a_pattern_needs_an_operator_in_every_step();
  }
  constexpr operator std::string_view() const { return text_; }

 private:
  std::string_view text_;
};

class Pattern {
 public:
  explicit Pattern(std::string_view text) {
    Step step;
    std::string word;
    const auto end_word = [&] {
      if (!word.empty()) step.ops.insert(full_name(std::exchange(word, {})));
    };
    const auto end_step = [&] {
      end_word();
      if (!step.ops.empty()) steps_.push_back(std::exchange(step, {}));
    };
    for (const char c : text) {
      if (c == '[' || c == '>' || c == ']') end_step();
      if (c == '[') in_brackets_ = true;
      if (c == '>') step.optional = std::exchange(in_brackets_, false);
      if (c == '|') end_word();
      if (std::string_view("[]>| ").find(c) == std::string_view::npos) word += c;
    }
    end_step();
  }
  // Nodes from `root` on, or none. `may_join` cuts the chain before a node.
  template <class F>
  std::vector<Node> match(const Graph& graph, const Node& root, const F& may_join) const {
    if (!steps_.front().takes(root)) return {};
    std::vector<Node> nodes{root};
    for (size_t i = 1; i < steps_.size(); ++i) {
      const auto next = graph.single_user(graph.output(nodes.back()));
      if (next && steps_[i].takes(*next) && may_join(next->id()))
        nodes.push_back(*next);
      else if (!steps_[i].optional)
        return {};
    }
    return nodes;
  }
  bool starts_with(const Node& node) const { return steps_.front().takes(node); }

 private:
  struct Step {
    std::set<std::string, std::less<>> ops;
    bool optional = false;
    bool takes(const Node& node) const { return ops.contains(node.op()); }
  };
  static std::string full_name(std::string word) {
    if (!word.starts_with("quoin.") && !word.starts_with("aten.")) word = "aten." + word;
    return word.find('.') == word.rfind('.') ? word + ".default" : word;
  }
  std::vector<Step> steps_;
  bool in_brackets_ = false;
};

// Groups accepted nodes into regions, each as large as it gets, so that no value leaves a region and comes back, not
// even through other regions: every region can run as one step.
class Regions {
 public:
  explicit Regions(const Graph& graph) : graph_(graph), group_(graph.num_nodes()), after_(graph.num_nodes()) {}
  void add(uint32_t node, bool accepted) {  // in graph order
    std::set<uint32_t> before;              // groups that produce the node's operands
    for (const uint32_t value : graph_.node(node).inputs())
      if (value != QUOIN_NONE)
        if (const auto p = graph_.producer(graph_.value(value))) before.insert(group_[p->id()]);
    group_[node] = node;
    if (accepted) {
      for (auto region = regions_.rbegin(); region != regions_.rend() && group_[node] == node; ++region)
        if (joins(region->first, before)) group_[node] = region->first;
      regions_[group_[node]].push_back(node);
    }
    before.erase(group_[node]);
    after_[group_[node]].insert(before.begin(), before.end());
  }
  const std::map<uint32_t, std::vector<uint32_t>>& all() const { return regions_; }

 private:
  bool joins(uint32_t region, const std::set<uint32_t>& before) const {
    std::vector<uint32_t> open(before.begin(), before.end());
    std::set<uint32_t> seen;
    while (!open.empty()) {
      const uint32_t group = open.back();
      open.pop_back();
      if (group == region || !seen.insert(group).second) continue;
      if (after_[group].contains(region)) return false;  // region > ... > group > node: the node must stay outside
      open.insert(open.end(), after_[group].begin(), after_[group].end());
    }
    return true;
  }
  const Graph& graph_;
  std::vector<uint32_t> group_;                        // of a node: its region (named by its first node) or itself
  std::vector<std::set<uint32_t>> after_;              // per group: groups it needs
  std::map<uint32_t, std::vector<uint32_t>> regions_;  // in graph order
};

}  // namespace quoin::sdk
