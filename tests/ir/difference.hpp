// Whether two graphs are the same but for the numbers of their values and nodes.
#pragma once

#include <cstring>
#include <map>

#include "ir/verify.hpp"

namespace quoin::ir::test {

// Walks both graphs side by side; ids may differ, everything else may not.
class Difference {
 public:
  Difference(const Graph& a, const Graph& b) : a_(a), b_(b) {}

  // "" when there is none, else where the first one is.
  std::string find() {
    if (a_.name != b_.name) return "the graph's name";
    if (a_.states != b_.states) return "the states";
    if (constants(a_).size() != constants(b_).size()) return "the number of constants";
    if (a_.order().size() != b_.order().size()) return "the number of nodes";
    if (!values(a_.inputs(), b_.inputs())) return "input " + where_;
    if (!values(constants(a_), constants(b_))) return "constant " + where_;
    for (size_t i = 0; i < a_.order().size(); ++i)
      if (!nodes(a_.order()[i], b_.order()[i])) return a_.describe(a_.order()[i]) + ": " + where_;
    if (!values(a_.outputs(), b_.outputs())) return "output " + where_;
    return "";
  }

 private:
  static std::vector<ValueId> constants(const Graph& graph) {
    std::vector<ValueId> ids;
    for (ValueId id = 0; id < graph.value_capacity(); ++id)
      if (graph.value(id).alive && graph.value(id).constant) ids.push_back(id);
    return ids;
  }
  bool different(std::string where) {
    where_ = std::move(where);
    return false;
  }
  bool values(const std::vector<ValueId>& a, const std::vector<ValueId>& b) {
    if (a.size() != b.size()) return different("count");
    for (size_t i = 0; i < a.size(); ++i)
      if (!value(a[i], b[i])) return false;
    return true;
  }
  bool value(ValueId a, ValueId b) {
    if (a == kNone || b == kNone) return a == b || different("an absent operand");
    const Value &x = a_.value(a), &y = b_.value(b);
    if (x.name != y.name) return different("name " + x.name + " / " + y.name);
    if (x.type != y.type) return different("type of " + x.name);
    if (x.dynamic != y.dynamic) return different("dynamic dims of " + x.name);
    if (x.output_index != y.output_index) return different("place of " + x.name);
    if ((x.producer == kNone) != (y.producer == kNone)) return different("producer of " + x.name);
    if (x.users.size() != y.users.size()) return different("users of " + x.name);
    if (x.constant.has_value() != y.constant.has_value()) return different("constant " + x.name);
    if (x.constant && x.constant->bytes() > 0 &&
        std::memcmp(x.constant->data(), y.constant->data(), x.constant->bytes()) != 0)
      return different("elements of " + x.name);
    return same_.emplace(a, b).first->second == b || different("identity of " + x.name);
  }
  bool nodes(NodeId a, NodeId b) {
    const Node &x = a_.node(a), &y = b_.node(b);
    if (x.name != y.name || x.op() != y.op()) return different("name or operator");
    if (!identical(x.attrs, y.attrs)) return different("attributes");
    if (x.modules != y.modules || x.source != y.source || x.debug_id != y.debug_id || x.origins != y.origins)
      return different("provenance");
    return values(x.inputs, y.inputs) && values(x.outputs, y.outputs);
  }

  const Graph &a_, &b_;
  std::map<ValueId, ValueId> same_;
  std::string where_;
};

inline std::string difference(const Graph& a, const Graph& b) { return Difference(a, b).find(); }

}  // namespace quoin::ir::test
