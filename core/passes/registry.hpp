// Passes by name: the built-in ones, and those that an application adds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "passes/passes.hpp"

namespace quoin::passes {

struct Pass {
  std::string name;  // "fold-batch-norm"
  std::string doc;   // one sentence
  // Rewrites nodes that the filter allows. Must keep the graph's results, up to rounding.
  std::function<Status(ir::Graph&, const NodeFilter&)> run;
  // Worth it for nodes that will be quantized only: float programs run without it.
  bool decomposes = false;
};

// A value without global state: every flow::Context has its own. Const use from many threads is safe; add() is not, and
// comes before the first use.
class Registry {
 public:
  Registry();  // with the built-in passes
  // Errors (usage): no name, no function, or the name is taken.
  Status add(Pass pass);
  const Pass* find(std::string_view name) const;
  const std::vector<Pass>& all() const { return passes_; }
  // Runs the pass, then ir::verify. Errors: `unknown` for an unknown name, with the nearest; those of the pass, with
  // its name; internal when it throws or leaves an inconsistent graph.
  Status run(std::string_view name, ir::Graph& graph, const NodeFilter& filter = {}, Code unknown = Code::plugin) const;

 private:
  std::vector<Pass> passes_;
};

}  // namespace quoin::passes
