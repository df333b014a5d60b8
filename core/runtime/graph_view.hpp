// A program graph as the flat arrays that kernels read (quoin_graph).
#pragma once

#include <memory>

#include "program/view/view.hpp"

namespace quoin::runtime {

// Of a run of one length: no dim is dynamic. Operator nodes only: what delegates compute has no producer here. Value
// ids are the graph's own. Borrows from the graph, which must outlive the view and stay where it is.
class GraphView {
 public:
  explicit GraphView(const program::view::Graph& graph);
  ~GraphView();
  GraphView(const GraphView&) = delete;
  GraphView& operator=(const GraphView&) = delete;
  // Of the longest run at first. Whatever was prepared for dynamic values must be prepared again.
  void set_length(int64_t length);
  const quoin_graph* graph() const;
  // Index of an operator node in the view.
  uint32_t node(size_t graph_node) const;

 private:
  struct Arrays;
  std::unique_ptr<Arrays> arrays_;
};

}  // namespace quoin::runtime
