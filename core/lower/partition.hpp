// Asks every plugin which nodes it takes, and checks what it answers.
#pragma once

#include <map>

#include "lower/lower.hpp"

namespace quoin::lower {

struct Claim {
  std::shared_ptr<host::Backend> backend;
  std::vector<ir::NodeId> nodes;  // graph order
  std::string tag;
};

struct Partition {
  std::vector<Claim> claims;                               // disjoint, convex, without circles
  std::map<ir::NodeId, std::vector<std::string>> reasons;  // why plugins did not take a node, in order of asking
};

// The first plugin sees the whole graph, each later one what is still free: all of it, or, where a claim of it would
// surround nodes that earlier plugins took, in parts that no such claim can be made of. Errors (plugin): partition()
// failed, or a claim is impossible.
Result<Partition> partition(const ir::Graph& graph, const Options& options);

// The claims as schedule() takes them.
std::vector<const std::vector<ir::NodeId>*> node_lists(const std::vector<Claim>& claims);

}  // namespace quoin::lower
