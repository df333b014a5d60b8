// The order in which claims and single nodes can run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::lower {

// One step of the program: a claim, or one node on its own.
struct Step {
  std::vector<ir::NodeId> nodes;  // graph order
  uint32_t claim = ir::kNone;
};

// Each claim contracted to one step, in an order that respects every dependency and else stays close to the graph's.
// nullopt: claims depend on each other in a circle. Precondition: claims are disjoint.
std::optional<std::vector<Step>> schedule(const ir::Graph& graph,
                                          std::span<const std::vector<ir::NodeId>* const> claims);

// The node at which a path that left `nodes` comes back, or kNone: the set is convex.
ir::NodeId reentry(const ir::Graph& graph, const std::vector<ir::NodeId>& nodes);

}  // namespace quoin::lower
