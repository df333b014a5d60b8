#include "lower/arena.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "base/checked.hpp"

namespace quoin::lower {
namespace {

using program::kArenaAlignment;
using program::Storage;
using Storages = std::vector<Storage>;
using Order = std::vector<uint32_t>;

// What the search may cost: comparisons of two storages.
constexpr uint64_t kSearchWork = 60'000'000;
constexpr uint64_t kSearchRounds = 20'000;

struct Placed {
  uint64_t offset = 0, end = 0;
  uint32_t first = 0, last = 0;
};

// The lowest gap between what is placed already (by offset) and needed at the same time.
uint64_t lowest_fit(const std::vector<Placed>& placed, const Storage& storage) {
  uint64_t offset = 0;
  for (const Placed& other : placed) {
    if (other.last < storage.first || storage.last < other.first) continue;
    if (other.offset >= offset && other.offset - offset >= storage.size) return offset;
    offset = std::max(offset, align_up(other.end, kArenaAlignment));
  }
  return offset;
}

Arena place_in(const Order& order, const Storages& all) {
  Arena arena{0, std::vector<uint64_t>(all.size())};
  std::vector<Placed> placed;  // by offset
  placed.reserve(all.size());
  for (const uint32_t s : order) {
    if (all[s].size == 0) continue;
    const uint64_t offset = lowest_fit(placed, all[s]);
    const Placed now{offset, offset + all[s].size, all[s].first, all[s].last};
    const auto before = [](const Placed& a, const Placed& b) { return a.offset < b.offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), now, before), now);
    arena.size = std::max(arena.size, align_up(now.end, kArenaAlignment));
    arena.offsets[s] = offset;
  }
  return arena;
}

// Larger keys first.
Order by(const Storages& all, const std::vector<double>& key) {
  Order order(all.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return key[a] != key[b] ? key[a] > key[b] : all[a].size > all[b].size;
  });
  return order;
}

// The most bytes that are live at any node of each storage's life.
std::vector<double> breadths(const Storages& all) {
  uint32_t nodes = 0;
  for (const Storage& s : all) nodes = std::max(nodes, s.last + 1);
  std::vector<double> live(nodes + 1, 0);
  for (const Storage& s : all) {
    live[s.first] += static_cast<double>(s.size);
    live[s.last + 1] -= static_cast<double>(s.size);
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  std::vector<double> most;
  for (const Storage& s : all) most.push_back(*std::max_element(live.begin() + s.first, live.begin() + s.last + 1));
  return most;
}

Order order_of(const Storages& all, Strategy strategy) {
  if (strategy == Strategy::breadth) return by(all, breadths(all));
  std::vector<double> key;
  for (const Storage& s : all) switch (strategy) {
      case Strategy::area:
        key.push_back(static_cast<double>(s.size) * (s.last - s.first + 1));
        break;
      case Strategy::first:
        key.push_back(-static_cast<double>(s.first));
        break;
      case Strategy::last:
        key.push_back(s.last);
        break;
      default:
        key.push_back(static_cast<double>(s.size));
    }
  return by(all, key);
}

struct Candidate {
  Order order;
  Arena arena;
};

// Moves one storage to another turn; of two moves in three it is one that ends at the top of the arena, and it moves
// forward. A move that makes the arena no larger stays.
void search(Candidate& best, const Storages& all, uint64_t bound) {
  const uint64_t work = std::max<uint64_t>(1, uint64_t{all.size()} * all.size());
  const uint64_t rounds = std::min(kSearchRounds, kSearchWork / work);
  std::mt19937_64 random(1);  // its numbers are the same everywhere
  for (uint64_t round = 0; round < rounds && best.arena.size > bound; ++round) {
    Order order = best.order;
    size_t from = random() % order.size(), to = random() % order.size();
    if (random() % 3 != 0) {
      const auto at_top = [&](uint32_t s) {
        return align_up(best.arena.offsets[s] + all[s].size, kArenaAlignment) == best.arena.size;
      };
      from = static_cast<size_t>(std::find_if(order.begin(), order.end(), at_top) - order.begin());
      to = random() % (from + 1);
    }
    const uint32_t moved = order[from];
    order.erase(order.begin() + static_cast<long>(from));
    order.insert(order.begin() + static_cast<long>(to), moved);
    Arena arena = place_in(order, all);
    if (arena.size <= best.arena.size) best = {std::move(order), std::move(arena)};
  }
}

}  // namespace

Arena place(const Storages& storages, Strategy strategy) { return place_in(order_of(storages, strategy), storages); }

Arena place(const Storages& storages) {
  const uint64_t bound = program::peak_live(storages);
  Candidate best;
  for (const Strategy strategy : {Strategy::size, Strategy::breadth, Strategy::area, Strategy::last, Strategy::first}) {
    Order order = order_of(storages, strategy);
    Arena arena = place_in(order, storages);
    if (best.arena.offsets.empty() || arena.size < best.arena.size) best = {std::move(order), std::move(arena)};
    if (best.arena.size <= bound) return best.arena;
  }
  search(best, storages, bound);
  return best.arena;
}

}  // namespace quoin::lower
