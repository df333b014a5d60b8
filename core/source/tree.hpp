// The layers of a module tree, and the rules about them.
#pragma once

#include <map>

#include "nn/module.hpp"
#include "source/layers.hpp"

namespace quoin::source {

struct TreeLayer {
  nn::Module* module = nullptr;
  nn::Linear* linear = nullptr;  // null: the module is an embedding
  nn::Parameter* weight = nullptr;
  const Rule* rule = nullptr;
  ir::NodeId node = ir::kNone;  // of the catalogue
};

// Every linear layer and embedding of the tree as a node of a graph without data, so that rules select in trees as they
// do in graphs: its modules are those around it, its name is the module's path.
class Catalogue {
 public:
  static Result<Catalogue> of(nn::Module& root);
  // Errors (recipe): a rule that is about none of them.
  Status resolve(Rules& rules);
  std::vector<TreeLayer>& layers() { return layers_; }
  const ir::Graph& graph() const { return graph_; }
  // The layer whose weight has this name; null: none of that kind.
  const TreeLayer* find(const std::string& weight, Target target) const;

 private:
  Status add(nn::Module& module);

  ir::Graph graph_;
  std::vector<ir::ModuleFrame> frames_;
  std::vector<TreeLayer> layers_;
};

inline Target target_of(const TreeLayer& layer) { return layer.linear ? Target::linear : Target::embedding; }

// Quantizes every layer without samples, one parameter at a time.
Result<Report> quantize_tree(nn::Module& root, const std::vector<Rule>& list, const Resources& resources);

}  // namespace quoin::source
