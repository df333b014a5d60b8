// One claim -> one delegate: the plugin writes a blob for its sub-graph.
#pragma once

#include <map>

#include "base/spill.hpp"
#include "lower/partition.hpp"

namespace quoin::lower {

// Named data of all blobs, by plugin and key. What is large lies in a temporary file: packed weights of all layers
// together need not fit into memory.
class NamedData {
 public:
  explicit NamedData(std::shared_ptr<Spill> spill = nullptr) : spill_(std::move(spill)) {}
  // The bytes of `key`, kept now or before; 64-byte aligned. Errors: plugin (kept before with other bytes), io (no
  // space for the temporary file).
  Result<Spill::Kept> keep(const std::string& plugin, const std::string& key, Bytes bytes);

 private:
  Result<Spill::Kept> store(Bytes bytes);
  void rest(size_t bytes);
  std::map<std::string, std::map<std::string, Spill::Kept>> by_plugin_;
  std::shared_ptr<Spill> spill_;  // made when it is needed, unless one is given
  size_t since_rest_ = 0;         // bytes that passed through memory
};

struct Compiled {
  program::Delegate delegate;                // without `original`
  std::vector<ir::ValueId> inputs, outputs;  // of the call, in the order that the blob expects
};

// Errors (plugin): compile() failed, or it broke a rule of the blob writer.
Result<Compiled> compile(const ir::Graph& graph, const Claim& claim, const Options& options, NamedData& named);

}  // namespace quoin::lower
