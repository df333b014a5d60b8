#include "lower/arena.hpp"
#include "lower/lower.hpp"

namespace quoin::lower {

// Writing over operands makes fewer storages, but longer ones, which may fit worse.
void plan_memory(program::Graph& graph) {
  const auto plan = [&](const program::Joins& joins) {
    auto storages = program::storages(graph, joins);
    Arena arena = place(storages);
    return std::pair(std::move(storages), std::move(arena));
  };
  auto best = plan([](const program::Node&, size_t, program::Sharing) { return true; });
  const auto views_only = [](const program::Node&, size_t, program::Sharing kind) {
    return kind == program::Sharing::view;
  };
  if (auto other = plan(views_only); other.second.size < best.second.size) best = std::move(other);
  const auto& [storages, arena] = best;
  for (program::Value& value : graph.values) value.offset = 0;
  graph.arena_size = arena.size;
  for (size_t s = 0; s < storages.size(); ++s)
    for (const uint32_t value : storages[s].values) graph.values[value].offset = arena.offsets[s];
}

}  // namespace quoin::lower
