// Offsets of intermediates: no two that live at the same time overlap.
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "program/view/bad.hpp"
#include "program/view/lifetime.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::view {
namespace {

// `end`: of the values so far.
bool check_offset(const Graph& graph, const Value& value, bool in_arena, uint64_t& end, Fault& fault) {
  if (!in_arena) return value.offset == 0 || bad(fault, "has an arena offset, but does not live in the arena");
  if (value.offset % kArenaAlignment != 0)
    return bad(fault, "arena offset {} is not a multiple of {}", value.offset, kArenaAlignment);
  if (value.offset > graph.arena_size || value.bytes > graph.arena_size - value.offset)
    return bad(fault, "bytes {} + {} are outside the arena of {}", value.offset, value.bytes, graph.arena_size);
  end = std::max(end, value.offset + value.bytes);
  return true;
}

bool check_offsets(const Graph& graph, std::span<const bool> arena, Fault& fault) {
  uint64_t end = 0;
  for (uint64_t id = 0; id < graph.values.size; ++id)
    if (!check_offset(graph, graph.values[id], arena[id], end, fault))
      return fault.at("value {} ({})", id, graph.values[id].name);
  if (graph.arena_size % kArenaAlignment == 0 && graph.arena_size - end < kArenaAlignment) return true;
  return bad(fault, "an arena of {} bytes for intermediates that end at {}", graph.arena_size, end);
}

// Who wrote each part of the arena last. Parts lie between the places where any storage begins or ends, and are the
// leaves of a binary tree, so that a storage is compared with few nodes. Storages come in order of their first node,
// and none was accepted that overlaps a living one: of the storages that wrote a part only the last may still live.
class Parts {
 public:
  Parts(const Graph& graph, std::span<const Storage> all) : graph_(graph), all_(all) {}
  bool make(Arena& memory, Fault& fault);
  // The storage that lives where `next` is to lie, or none.
  uint32_t living(uint32_t next) { return visit(next, 1, 0, leaves_, false); }
  void write(uint32_t next) { visit(next, 1, 0, leaves_, true); }

 private:
  // The storages that were written over the whole part, and over any of it, with the last use that is latest; +1.
  struct Part {
    uint32_t whole, any;
  };
  uint64_t begin(uint32_t storage) const { return graph_.values[all_[storage].value].offset; }
  uint64_t end(uint32_t storage) const { return begin(storage) + all_[storage].size; }
  void keep_later(uint32_t& kept, uint32_t storage) const {
    if (kept == 0 || all_[kept - 1].last < all_[storage].last) kept = storage + 1;
  }
  uint32_t alive(uint32_t kept, uint32_t next) const {
    return kept != 0 && all_[kept - 1].last >= all_[next].first ? kept - 1 : QUOIN_NONE;
  }
  uint32_t visit(uint32_t next, size_t node, size_t low, size_t high, bool write);

  const Graph& graph_;
  const std::span<const Storage> all_;
  std::span<uint64_t> borders_;  // sorted
  std::span<Part> tree_;
  size_t leaves_ = 0;  // a power of two
};

int compare_offsets(const void* a, const void* b) {
  const uint64_t left = *static_cast<const uint64_t*>(a), right = *static_cast<const uint64_t*>(b);
  return left < right ? -1 : left > right;
}

bool Parts::make(Arena& memory, Fault& fault) {
  leaves_ = std::bit_ceil(2 * all_.size());
  if (!memory.make(2 * all_.size(), borders_, fault) || !memory.make(2 * leaves_, tree_, fault)) return false;
  for (uint32_t i = 0; i < all_.size(); ++i) {
    borders_[2 * i] = begin(i);
    borders_[2 * i + 1] = end(i);
  }
  std::qsort(borders_.data(), borders_.size(), sizeof(uint64_t), compare_offsets);
  return true;
}

// `node` is the part from border `low` to border `high`.
uint32_t Parts::visit(uint32_t next, size_t node, size_t low, size_t high, bool write) {
  const size_t most = borders_.size() - 1;
  const uint64_t from = borders_[std::min(low, most)], to = borders_[std::min(high, most)];
  if (to <= begin(next) || end(next) <= from) return QUOIN_NONE;
  Part& part = tree_[node];
  const bool inside = begin(next) <= from && to <= end(next);
  if (write) {
    keep_later(part.any, next);
    if (inside) keep_later(part.whole, next);
  }
  if (inside || high - low == 1) return alive(part.any, next);
  if (const uint32_t found = alive(part.whole, next); found != QUOIN_NONE) return found;
  const size_t middle = (low + high) / 2;
  const uint32_t found = visit(next, 2 * node, low, middle, write);
  return found != QUOIN_NONE && !write ? found : visit(next, 2 * node + 1, middle, high, write);
}

bool at_operand(void* graph, uint32_t position, size_t slot, Sharing) {
  const Graph& of = *static_cast<const Graph*>(graph);
  return is_at_operand(of, of.nodes[position], slot);
}

}  // namespace

bool verify_memory_plan(const Graph& graph, std::span<const bool> arena, Arena& memory, Fault& fault) {
  if (!check_offsets(graph, arena, fault)) return false;
  Storages found;
  if (!storages(graph, arena, {const_cast<Graph*>(&graph), at_operand}, memory, found, fault)) return false;
  Parts parts(graph, found.all);
  if (!parts.make(memory, fault)) return false;
  for (uint32_t i = 0; i < found.all.size(); ++i) {
    if (found.all[i].size == 0) continue;
    if (const uint32_t other = parts.living(i); other != QUOIN_NONE) {
      const uint32_t first = found.all[other].value, second = found.all[i].value;
      return bad(fault, "value {} ({}) and value {} ({}) overlap while both are needed", first,
                 graph.values[first].name, second, graph.values[second].name);
    }
    parts.write(i);
  }
  return true;
}

}  // namespace quoin::program::view
