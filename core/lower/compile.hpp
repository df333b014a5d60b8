// One claim -> one delegate: the plugin writes a blob for its sub-graph.
#pragma once

#include <map>

#include "lower/buffer.hpp"
#include "lower/partition.hpp"

namespace quoin::lower {

// Named data of all blobs of one plugin: equal keys must hold equal bytes.
using NamedData = std::map<std::string, std::shared_ptr<const Buffer>, std::less<>>;

struct Compiled {
  program::Delegate delegate;                // without `original`
  std::vector<ir::ValueId> inputs, outputs;  // of the call, in the order that the blob expects
};

// Errors (plugin): compile() failed, or it broke a rule of the blob writer.
Result<Compiled> compile(const ir::Graph& graph, const Claim& claim, const Options& options, NamedData& named);

}  // namespace quoin::lower
