// Where each node runs, what it costs, and what to tell the user about nodes that no plugin took.
#pragma once

#include "lower/partition.hpp"

namespace quoin::lower {

// Multiply-adds of one node: convolutions, linear and matrix products; 0 for everything else.
int64_t macs(const ir::Graph& graph, const ir::Node& node);
int64_t macs(const program::Graph& graph, const program::Node& node, int64_t length);  // in a run of `length`

// Whether the node computes on integers: its activation carries qparams, or it quantizes it itself.
bool is_integer(const ir::Graph& graph, const ir::Node& node);

// In graph order. `kernels[node]` names the kernel of a node that no plugin took.
std::vector<Placement> place(const ir::Graph& graph, const Partition& partition,
                             const std::map<ir::NodeId, std::string>& kernels);

// The fallback policy. Errors: strict ("error" and nodes are left), usage (unknown policy).
Status report_fallback(const std::vector<Placement>& placement, const Options& options, Diagnostics& diagnostics);

}  // namespace quoin::lower
