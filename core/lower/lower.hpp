// From a typed (or float) graph to a program: partition by the plugins' claims, compile each claim, plan memory.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "base/spill.hpp"
#include "host/backend.hpp"
#include "ir/graph.hpp"
#include "kernels/select.hpp"
#include "program/model.hpp"

namespace quoin::lower {

struct Options {
  std::vector<std::shared_ptr<host::Backend>> order;  // who may claim, in this order
  uint64_t isa = 0;                                   // target instruction sets
  bool keep_original = true;                          // store sub-graphs for fallback
  std::string fallback = "warn";                      // allow | warn | error: node that no plugin takes
  std::vector<quoin_param> params;                    // for partition and compile
  std::shared_ptr<Spill> spill;                       // takes large named data; null: one of its own
};

// One graph of a program with several.
struct Method {
  std::string name;
  ir::Graph graph;
};

// Where one node of the graph will run.
struct Placement {
  std::string method;
  ir::NodeId node = ir::kNone;
  std::string name, op, module;
  std::string backend;   // plugin name, or "kernels"
  std::string kernel;    // for "kernels": which one
  bool integer = false;  // computes on integers
  std::string reason;    // for "kernels": why no plugin took it
  int64_t macs = 0;      // multiply-adds
};

struct Lowered {
  program::Model model;
  std::vector<Placement> placement;  // graph order, method by method
};

// Errors: plugin (claims that overlap, are not convex or name unknown nodes; compile failed), unsupported (no kernel),
// strict (fallback = error).
// Named data that delegates of one plugin share by key is stored once for all methods.
Result<Lowered> lower(std::span<const Method> methods, const Options& options, const kernels::KernelSet& kernels,
                      const quoin_host& host, Diagnostics& diagnostics);
// A program with one method, program::kOnlyMethod.
Result<Lowered> lower(const ir::Graph& graph, const Options& options, const kernels::KernelSet& kernels,
                      const quoin_host& host, Diagnostics& diagnostics);

// Gives every intermediate of `graph` an arena offset (64-byte aligned) so that live ranges never overlap, by the best of
// several ways (arena.hpp). Sets arena_size.
void plan_memory(program::Graph& graph);

}  // namespace quoin::lower
