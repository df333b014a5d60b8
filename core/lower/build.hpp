// ir::Graph -> program::Graph, value by value as they are needed: what nothing uses is left out.
#pragma once

#include <unordered_map>

#include "ir/graph.hpp"
#include "program/model.hpp"

namespace quoin::lower {

// Why the new content of a state needs memory of its own, or "": the state is updated where it lies.
std::string why_copied(const ir::Graph& graph, const ir::State& state);

class ProgramBuilder {
 public:
  explicit ProgramBuilder(const ir::Graph& graph) : graph_(graph) {}
  void set_inputs(const std::vector<ir::ValueId>& ids) { out_.inputs = values(ids); }
  void set_outputs(const std::vector<ir::ValueId>& ids) { out_.outputs = values(ids); }
  void set_states();  // of the graph; after its inputs and outputs
  void add_node(ir::NodeId id);
  void add_call(uint32_t delegate, std::string name, const std::vector<ir::ValueId>& inputs,
                const std::vector<ir::ValueId>& outputs);
  program::Graph take() { return std::move(out_); }  // the memory is not planned yet

 private:
  uint32_t value(ir::ValueId id);
  std::vector<uint32_t> values(const std::vector<ir::ValueId>& ids);
  const ir::Graph& graph_;
  program::Graph out_;
  std::unordered_map<ir::ValueId, uint32_t> index_;
};

}  // namespace quoin::lower
