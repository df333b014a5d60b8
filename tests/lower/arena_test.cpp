// Storages that are known to fit: a box of nodes times bytes, cut into rectangles again and again, is what a perfect
// plan looks like. The planner gets the rectangles without their offsets.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "lower/arena.hpp"

namespace quoin::lower {
namespace {

using program::Storage;

constexpr uint64_t kUnit = program::kArenaAlignment;

// Cuts [first, last] x units into `pieces` rectangles, across the nodes or across the bytes.
void cut(std::mt19937& random, uint32_t first, uint32_t last, uint64_t units, size_t pieces,
         std::vector<Storage>& out) {
  const bool can_cut_nodes = last > first, can_cut_bytes = units > 1;
  if (pieces <= 1 || (!can_cut_nodes && !can_cut_bytes)) {
    out.push_back({units * kUnit, first, last, {}});
    return;
  }
  if (can_cut_nodes && (!can_cut_bytes || random() % 2 == 0)) {
    const auto at = static_cast<uint32_t>(first + random() % (last - first));
    cut(random, first, at, units, pieces / 2, out);
    cut(random, at + 1, last, units, pieces - pieces / 2, out);
  } else {
    const uint64_t at = 1 + random() % (units - 1);
    cut(random, first, last, at, pieces / 2, out);
    cut(random, first, last, units - at, pieces - pieces / 2, out);
  }
}

std::vector<Storage> rectangles(std::mt19937& random, size_t pieces) {
  std::vector<Storage> out;
  cut(random, 0, static_cast<uint32_t>(pieces), 400, pieces, out);
  std::ranges::stable_sort(out, {}, &Storage::first);
  return out;
}

void expect_no_overlap(const std::vector<Storage>& all, const Arena& arena) {
  for (size_t a = 0; a < all.size(); ++a) {
    ASSERT_LE(arena.offsets[a] + all[a].size, arena.size);
    for (size_t b = 0; b < a; ++b) {
      const bool together = all[a].first <= all[b].last && all[b].first <= all[a].last;
      const bool overlap =
          arena.offsets[a] < arena.offsets[b] + all[b].size && arena.offsets[b] < arena.offsets[a] + all[a].size;
      ASSERT_FALSE(together && overlap) << "storages " << a << " and " << b;
    }
  }
}

TEST(Arena, ComesWithinFivePercentOfWhatIsAttainable) {
  std::mt19937 random(3);
  double excess = 0;
  constexpr int kBoxes = 200;
  for (int i = 0; i < kBoxes; ++i) {
    const std::vector<Storage> all = rectangles(random, 4 + random() % 13);
    ASSERT_EQ(program::peak_live(all), 400 * kUnit) << "the box is full at every node";
    const Arena arena = place(all);
    expect_no_overlap(all, arena);
    ASSERT_LE(arena.size, 420 * kUnit) << "box " << i << " of " << all.size() << " storages";
    excess += static_cast<double>(arena.size) / (400.0 * kUnit) - 1;
  }
  RecordProperty("mean_excess_percent", std::to_string(100 * excess / kBoxes));
}

TEST(Arena, IsNeverLargerThanAnyStrategy) {
  std::mt19937 random(4);
  for (int i = 0; i < 50; ++i) {
    const std::vector<Storage> all = rectangles(random, 40);
    const Arena arena = place(all);
    for (const Strategy strategy :
         {Strategy::size, Strategy::area, Strategy::breadth, Strategy::first, Strategy::last}) {
      const Arena other = place(all, strategy);
      expect_no_overlap(all, other);
      ASSERT_LE(arena.size, other.size);
    }
  }
}

TEST(Arena, NothingAndEmptyStoragesTakeNoPlace) {
  EXPECT_EQ(place(std::vector<Storage>{}).size, 0u);
  EXPECT_EQ(place({{0, 0, 1, {}}, {0, 1, 2, {}}}).size, 0u);
}

}  // namespace
}  // namespace quoin::lower
