// Offsets for storages with known lifetimes: dynamic storage allocation, which is NP-hard, by several greedy orders and
// a short search.
#pragma once

#include <span>
#include <vector>

#include "program/lifetime.hpp"

namespace quoin::lower {

struct Arena {
  uint64_t size = 0;              // a multiple of program::kArenaAlignment
  std::vector<uint64_t> offsets;  // of each storage, multiples of program::kArenaAlignment; 0 for empty ones
};

// How the storages were put in order before each took the lowest fitting offset. Ties: larger first, then older.
enum class Strategy {
  size,     // largest first
  area,     // size times lifetime, largest first
  breadth,  // those that are live at the node with the most live bytes first, then at the next such node
  first,    // in order of definition
  last,     // those needed to the end first
};
Arena place(const std::vector<program::Storage>& storages, Strategy strategy);

// The smallest of all strategies; if that is more than program::peak_live, what a search from the best order finds. The
// same storages always give the same arena. Time: quadratic in the number of storages, with a bound on the search.
Arena place(const std::vector<program::Storage>& storages);

}  // namespace quoin::lower
