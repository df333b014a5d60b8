// Bytes on disk that read like memory, and disks that will not take them.
#include "base/spill.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

namespace quoin {
namespace {

std::vector<std::byte> pattern(size_t size, int seed) {
  std::vector<std::byte> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(static_cast<size_t>(seed) + i * 7);
  return out;
}

bool same(Bytes a, Bytes b) { return std::ranges::equal(a, b); }

class Spilling : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string folder =
      testing::TempDir() + "quoin_spill_" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Spilling, KeepsBytesThatOutliveIt) {
  Spill::Kept first, second;
  {
    const auto spill = Spill::create(folder);
    ASSERT_TRUE(spill) << spill.error().text();
    first = *(*spill)->keep(pattern(100'000, 1));
    second = *(*spill)->keep(pattern(5, 2));
  }
  EXPECT_TRUE(same(first.bytes, pattern(100'000, 1)));
  EXPECT_TRUE(same(second.bytes, pattern(5, 2)));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(second.bytes.data()) % 4096, 0u);
}

TEST_F(Spilling, LeavesNothingInTheFolder) {
  const auto spill = Spill::create(folder);
  ASSERT_TRUE(spill);
  ASSERT_TRUE((*spill)->keep(pattern(10'000, 1)));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(Spilling, NoBytesNeedNoPlace) {
  const auto kept = (*Spill::create(folder))->keep({});
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->bytes.empty());
}

TEST_F(Spilling, ThreadsKeepAtOnce) {
  const auto spill = *Spill::create(folder);
  std::vector<Spill::Kept> kept(64);
  const auto keep_some = [&](size_t from) {
    for (size_t i = from; i < from + 16; ++i) kept[i] = *spill->keep(pattern(1000 * i + 1, static_cast<int>(i)));
  };
  std::vector<std::thread> threads;
  for (const size_t from : {0, 16, 32, 48}) threads.emplace_back(keep_some, from);
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kept.size(); ++i)
    EXPECT_TRUE(same(kept[i].bytes, pattern(1000 * i + 1, static_cast<int>(i)))) << i;
}

TEST_F(Spilling, AMissingFolderIsNamed) {
  const auto spill = Spill::create(folder + "/none");
  ASSERT_FALSE(spill);
  EXPECT_EQ(spill.error().code, Code::not_found);
  EXPECT_EQ(spill.error().where, folder + "/none");
  EXPECT_NE(spill.error().hint.find("TMPDIR"), std::string::npos);
}

// A limit on the size of files stands for a disk without space.
TEST_F(Spilling, AFullDiskIsAnErrorAndKeepsWhatIsThere) {
  const auto spill = *Spill::create(folder);
  const auto before = spill->keep(pattern(50'000, 1));
  ASSERT_TRUE(before);
  struct rlimit old {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit tight = old;
  tight.rlim_cur = 100'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto kept = spill->keep(pattern(200'000, 2));
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Code::io);
  EXPECT_EQ(kept.error().where, folder);
  EXPECT_TRUE(same(before->bytes, pattern(50'000, 1)));
}

}  // namespace
}  // namespace quoin
