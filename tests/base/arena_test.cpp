#include "base/arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace quoin {
namespace {

// Counts what it lends, fills it with garbage, and gives no more than `most` bytes.
struct Counting {
  uint64_t most = UINT64_MAX, lent = 0, peak = 0, blocks = 0;

  Allocator allocator() { return {this, take, give}; }
  static void* take(void* self, uint64_t size, uint64_t alignment) {
    auto& own = *static_cast<Counting*>(self);
    if (size > own.most - own.lent) return nullptr;
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    std::memset(memory, 0xa5, size);
    own.lent += size;
    own.peak = std::max(own.peak, own.lent);
    ++own.blocks;
    return memory;
  }
  static void give(void* self, void* memory, uint64_t size, uint64_t) {
    static_cast<Counting*>(self)->lent -= size;
    std::free(memory);
  }
};

bool all_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

TEST(Arena, GivesAlignedZerosThatDoNotOverlap) {
  Counting counting;
  Fault fault;
  {
    Arena arena(counting.allocator());
    std::vector<std::span<std::byte>> taken;
    for (uint64_t i = 0; i < 2000; ++i) {
      const uint64_t size = i * 37 % 900, alignment = size < 64 ? 8 : 64;
      auto* memory = static_cast<std::byte*>(arena.take(size, 1, fault));
      ASSERT_NE(memory, nullptr) << "also for no bytes";
      ASSERT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment, 0u);
      ASSERT_TRUE(all_zero({memory, size}));
      std::memset(memory, static_cast<int>(i % 255 + 1), size);
      taken.push_back({memory, size});
    }
    for (uint64_t i = 0; i < taken.size(); ++i)
      for (const std::byte b : taken[i]) ASSERT_EQ(b, static_cast<std::byte>(i % 255 + 1)) << i;
    EXPECT_LT(counting.blocks, 20u) << "blocks grow";
  }
  EXPECT_EQ(counting.lent, 0u);
}

TEST(Arena, MakesObjects) {
  Arena arena(heap());
  Fault fault;
  std::span<uint64_t> numbers;
  ASSERT_TRUE(arena.make(1000, numbers, fault));
  EXPECT_EQ(numbers.size(), 1000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(numbers.data()) % 64, 0u);
  EXPECT_TRUE(all_zero(std::as_bytes(numbers)));
  ASSERT_TRUE(arena.make(0, numbers, fault));
  EXPECT_TRUE(numbers.empty());
}

TEST(Arena, NoMemoryIsAFault) {
  Counting counting{10000};
  Arena arena(counting.allocator());
  Fault fault;
  EXPECT_NE(arena.take(100, 8, fault), nullptr);
  EXPECT_EQ(arena.take(20000, 1, fault), nullptr);
  EXPECT_EQ(fault.code(), Code::limit);
  EXPECT_EQ(fault.what(), "out of memory");
  std::span<uint32_t> numbers;
  EXPECT_FALSE(arena.make(5000, numbers, fault));
  EXPECT_EQ(arena.take(UINT64_MAX, 8, fault), nullptr);
  EXPECT_EQ(arena.take(uint64_t{1} << 62, 64, fault), nullptr);
  EXPECT_NE(arena.take(100, 8, fault), nullptr) << "what is left can still be had";
}

// A file that was copied into the arena must not make the next block twice as large as the file.
TEST(Arena, OneLargeBlockDoesNotMakeTheNextOnesLarge) {
  Counting counting;
  Arena arena(counting.allocator());
  constexpr uint64_t kLarge = 64 << 20;
  Fault fault;
  ASSERT_NE(arena.take(kLarge, 1, fault), nullptr);
  ASSERT_NE(arena.take(100, 1, fault), nullptr);
  EXPECT_LT(counting.peak, kLarge + (2 << 20));
}

}  // namespace
}  // namespace quoin
