// When the bytes of intermediate values are needed (view/lifetime.hpp), for planners and tools: of graphs that own
// their parts.
#pragma once

#include <span>
#include <vector>

#include "program/model.hpp"
#include "program/view/lifetime.hpp"

namespace quoin::program {

using view::kArenaAlignment;
using view::Storage;

// The operands that the result of a node shares bytes with, of those that the rule allows.
enum class Joining : uint8_t {
  views,    // those that it renames
  all,      // the first one
  planned,  // one that has its offset
};

struct Storages {
  std::vector<Storage> all;  // in order of first definition
  std::vector<uint32_t> of;  // by value: index into `all`, or kNone
};
// Precondition: shapes are legal, indices valid and the nodes topological.
Storages storages(const Graph& graph, Joining joining);

// The most bytes that are live at one node, each storage rounded up to kArenaAlignment: no arena can be smaller.
uint64_t peak_live(std::span<const Storage> storages);

}  // namespace quoin::program
