// The flat, immutable view of a graph that crosses the plugin boundary (quoin_graph).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::ir {

// How a dim that follows the length of a run is told (Value::dynamic).
enum class Dims {
  longest,  // as a fixed number: that of the longest run; for kernels
  marked,   // as -1, with dims_max beside it; for compilers
};

// Owns the arrays behind a quoin_graph. Constants stay borrowed from the graph, which must outlive the snapshot.
// Snapshot node i is graph node node_ids()[i]; snapshot value j is graph value value_ids()[j].
class Snapshot {
 public:
  // The whole graph.
  static Snapshot of(const Graph& graph, Dims dims = Dims::longest);
  // Only `nodes` (topological): values that come from outside become inputs, values used outside become outputs.
  static Snapshot of(const Graph& graph, std::span<const NodeId> nodes, Dims dims = Dims::longest);
  Snapshot(Snapshot&&) noexcept;
  Snapshot& operator=(Snapshot&&) noexcept;
  ~Snapshot();

  const quoin_graph* view() const;
  const std::vector<NodeId>& node_ids() const;
  const std::vector<ValueId>& value_ids() const;

 private:
  struct Arrays;
  explicit Snapshot(std::unique_ptr<Arrays> arrays);
  std::unique_ptr<Arrays> arrays_;
};

}  // namespace quoin::ir
