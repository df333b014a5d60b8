#include "lower/arena.hpp"
#include "lower/lower.hpp"

namespace quoin::lower {

void plan_memory(program::Graph& graph) {
  const std::vector<program::Storage> all = program::storages(graph, [](const program::Node&) { return true; });
  const Arena arena = place(all);
  for (program::Value& value : graph.values) value.offset = 0;
  graph.arena_size = arena.size;
  for (size_t s = 0; s < all.size(); ++s)
    for (const uint32_t value : all[s].values) graph.values[value].offset = arena.offsets[s];
}

}  // namespace quoin::lower
