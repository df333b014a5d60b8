#include "program/lifetime.hpp"

#include <map>

#include "base/checked.hpp"
#include "base/guard.hpp"
#include "program/flatten.hpp"

namespace quoin::program {
namespace {

struct Request {
  const view::Graph& graph;
  Joining joining;
  static bool joins(void* self, uint32_t position, size_t slot, view::Sharing kind) {
    const auto& [graph, joining] = *static_cast<const Request*>(self);
    if (joining == Joining::planned) return view::is_at_operand(graph, graph.nodes[position], slot);
    return joining == Joining::all || kind == view::Sharing::view;
  }
};

}  // namespace

Storages storages(const Graph& graph, Joining joining) {
  Arena memory(heap());
  Request request{flatten(graph, memory), joining};
  std::span<bool> arena;
  view::Storages found;
  Fault fault;
  if (!view::in_arena(request.graph, memory, arena, fault) ||
      !view::storages(request.graph, arena, {&request, Request::joins}, memory, found, fault))
    out_of_memory();
  return {{found.all.begin(), found.all.end()}, {found.of.begin(), found.of.end()}};
}

uint64_t peak_live(std::span<const Storage> storages) {
  std::map<uint32_t, std::pair<uint64_t, uint64_t>> at;  // position -> bytes that begin there, bytes that ended before
  for (const Storage& storage : storages) {
    const uint64_t size = align_up(storage.size, kArenaAlignment);
    at[storage.first].first += size;
    at[storage.last + 1].second += size;
  }
  uint64_t live = 0, most = 0;
  for (const auto& [position, change] : at) {
    live += change.first - change.second;
    most = std::max(most, live);
  }
  return most;
}

}  // namespace quoin::program
