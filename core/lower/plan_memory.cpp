#include "lower/arena.hpp"
#include "lower/lower.hpp"

namespace quoin::lower {

// Writing over operands makes fewer storages, but longer ones, which may fit worse.
void plan_memory(program::Graph& graph) {
  const auto plan = [&](program::Joining joining) {
    auto storages = program::storages(graph, joining);
    Arena arena = place(storages.all);
    return std::pair(std::move(storages), std::move(arena));
  };
  auto best = plan(program::Joining::all);
  if (auto other = plan(program::Joining::views); other.second.size < best.second.size) best = std::move(other);
  const auto& [storages, arena] = best;
  graph.arena_size = arena.size;
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const uint32_t storage = storages.of[id];
    graph.values[id].offset = storage == program::kNone ? 0 : arena.offsets[storage];
  }
}

}  // namespace quoin::lower
