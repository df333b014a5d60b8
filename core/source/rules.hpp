// Which layers are quantized and how: a list of rules over modules and nodes.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.hpp"
#include "quantize/scope.hpp"
#include "source/config.hpp"

namespace quoin::source {

struct Rule : recipe::Selector {
  std::optional<LayerConfig> config;  // none: leave in float
};

// Of a graph: linear layers and embeddings. For each the most specific of the rules about layers of its kind decides,
// as for the rules of a recipe's quantizers (docs/quantization.md); of equal ones the later. Without a rule it stays in
// float.
class Rules {
 public:
  // Errors (recipe): a regular expression that is not valid, a configuration that makes no sense; with the rule's
  // place.
  static Result<Rules> of(std::vector<Rule> rules);

  // The deciding rule, or null. Remembers which rules apply to some layer.
  const Rule* choose(const ir::Graph& graph, ir::NodeId id, LayerConfig::Target kind);
  // Errors (recipe): a rule that applied to no layer; with the nearest name in `graph`.
  Status check_all_used(const ir::Graph& graph) const;
  std::string label(const Rule& rule) const;  // "r.yaml:5:7 (module head)"
  bool is_calibrated() const;                 // some rule needs data

 private:
  std::vector<Rule> rules_;
  std::vector<quantize::Selection> selections_;
  std::vector<bool> used_;
};

}  // namespace quoin::source
