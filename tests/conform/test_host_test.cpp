#include "conform/test_host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace quoin::conform {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void* allocate(const TestHost& host, uint64_t size, uint64_t alignment = 64) {
  return host.table().alloc(host.table().self, size, alignment);
}
void release(const TestHost& host, void* memory, uint64_t size, uint64_t alignment = 64) {
  host.table().free(host.table().self, memory, size, alignment);
}

TEST(TestHost, CountsMemory) {
  const TestHost host(TestHost::Options{});
  void* const memory = allocate(host, 100);
  EXPECT_EQ(host.live_bytes(), 100u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
  release(host, memory, 100);
  EXPECT_EQ(host.live_bytes(), 0u);
  EXPECT_EQ(host.allocations(), 1u);
  EXPECT_THAT(host.faults(), IsEmpty());
}

TEST(TestHost, RunsOutOfMemoryOnRequestAndStaysSo) {
  TestHost::Options options;
  options.fail_allocation = 2;
  const TestHost host(options);
  void* const first = allocate(host, 8);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(allocate(host, 8), nullptr);
  EXPECT_EQ(allocate(host, 8), nullptr);
  release(host, first, 8);
}

TEST(TestHost, NamesWrongFrees) {
  const TestHost host(TestHost::Options{});
  int local = 0;
  release(host, &local, 4, 4);
  void* const memory = allocate(host, 32);
  release(host, memory, 16);
  EXPECT_EQ(allocate(host, 8, 24), nullptr);
  EXPECT_THAT(host.faults(), ElementsAre(HasSubstr("did not allocate"), HasSubstr("16 bytes at alignment 64 that were"),
                                         HasSubstr("alignment of 24")));
}

TEST(TestHost, SeesAWriteBetweenTheEndAndTheGuardPage) {
  TestHost::Options options;
  options.guard_pages = true;
  const TestHost host(options);
  auto* const memory = static_cast<char*>(allocate(host, 100));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
  memory[100] = 1;
  release(host, memory, 100);
  EXPECT_THAT(host.faults(), ElementsAre(HasSubstr("behind the end of an allocation of 100 bytes")));
}

TEST(TestHostDeathTest, GuardPagesStopAWriteBehindThem) {
  TestHost::Options options;
  options.guard_pages = true;
  const TestHost host(options);
  auto* const memory = static_cast<volatile char*>(allocate(host, 4096, 4096));
  memory[4095] = 1;
  EXPECT_DEATH(memory[4096] = 1, "");
}

TEST(TestHostDeathTest, FreedGuardedMemoryIsGone) {
  TestHost::Options options;
  options.guard_pages = true;
  const TestHost host(options);
  auto* const memory = static_cast<volatile char*>(allocate(host, 10, 1));
  release(host, const_cast<char*>(memory), 10, 1);
  EXPECT_DEATH(memory[0] = 1, "");
}

TEST(TestHost, IsAsOldOrNewAsAsked) {
  TestHost::Options options;
  options.abi_minor = 9999;
  options.struct_size = sizeof(quoin_host) + 64;
  const TestHost host(options);
  EXPECT_EQ(host.table().abi_minor, 9999u);
  const auto* behind = reinterpret_cast<const char*>(&host.table()) + sizeof(quoin_host);
  EXPECT_EQ(std::string(behind, 64), std::string(64, '\0'));
}

TEST(TestHost, HandsOutPiecesToSoManyWorkers) {
  TestHost::Options options;
  options.workers = 3;
  const TestHost host(options);
  EXPECT_EQ(host.table().workers(host.table().self), 3u);
  std::vector<int> seen(100);
  host.table().parallel_for(
      host.table().self, seen.size(), 7,
      [](void* ctx, uint64_t begin, uint64_t end, uint32_t) {
        for (uint64_t i = begin; i < end; ++i) ++(*static_cast<std::vector<int>*>(ctx))[i];
      },
      &seen);
  EXPECT_EQ(seen, std::vector<int>(100, 1));
}

TEST(TestHost, KeepsWhatAPluginLogs) {
  const TestHost host(TestHost::Options{});
  host.table().log(host.table().self, QUOIN_LOG_WARN, {"hello", 5});
  ASSERT_EQ(host.logs().size(), 1u);
  EXPECT_EQ(host.logs()[0].text, "hello");
}

}  // namespace
}  // namespace quoin::conform
