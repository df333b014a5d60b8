#include <algorithm>
#include <numeric>

#include "base/checked.hpp"
#include "lower/lower.hpp"
#include "program/lifetime.hpp"

namespace quoin::lower {
namespace {

struct Placed {
  uint64_t offset = 0, end = 0;
  uint32_t first = 0, last = 0;
};

// The lowest gap between what is placed already (by offset) and needed at the same time.
uint64_t lowest_fit(const std::vector<Placed>& placed, const program::Storage& storage) {
  uint64_t offset = 0;
  for (const Placed& other : placed) {
    if (other.last < storage.first || storage.last < other.first) continue;
    if (other.offset >= offset && other.offset - offset >= storage.size) return offset;
    offset = std::max(offset, align_up(other.end, program::kArenaAlignment));
  }
  return offset;
}

}  // namespace

void plan_memory(program::Graph& graph) {
  const std::vector<program::Storage> all = program::storages(graph, [](const program::Node&) { return true; });
  std::vector<uint32_t> order(all.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return all[a].size > all[b].size; });
  for (program::Value& value : graph.values) value.offset = 0;
  graph.arena_size = 0;
  std::vector<Placed> placed;  // by offset
  for (const uint32_t s : order) {
    if (all[s].size == 0) continue;
    const uint64_t offset = lowest_fit(placed, all[s]);
    const Placed now{offset, offset + all[s].size, all[s].first, all[s].last};
    const auto before = [](const Placed& a, const Placed& b) { return a.offset < b.offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), now, before), now);
    graph.arena_size = std::max(graph.arena_size, align_up(now.end, program::kArenaAlignment));
    for (const uint32_t value : all[s].values) graph.values[value].offset = offset;
  }
}

}  // namespace quoin::lower
