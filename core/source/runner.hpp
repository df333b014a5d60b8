// Runs the nodes of a graph one after the other, each over all samples.
#pragma once

#include <map>
#include <span>

#include "interpret/interpreter.hpp"

namespace quoin::source {

// The value of every sample, by value of the graph. Constants are not in it.
using Stream = std::map<ir::ValueId, std::vector<Tensor>>;

// The node's results over `stream`, per result and sample. Prepares the kernel once. Errors: the kernel's, with the
// node.
Result<std::vector<std::vector<Tensor>>> run_node(const ir::Graph& graph, ir::NodeId id, const Stream& stream,
                                                  const kernels::KernelSet& kernels, const quoin_host& host);

}  // namespace quoin::source
