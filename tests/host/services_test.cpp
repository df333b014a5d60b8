#include "host/services.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

namespace quoin::host {
namespace {

struct Piece {
  uint64_t begin, end;
  uint32_t worker;
};

// Runs a parallel_for that records its pieces.
std::vector<Piece> pieces_of(const quoin_host& host, uint64_t count, uint64_t grain) {
  struct Record {
    std::mutex mutex;
    std::vector<Piece> pieces;
  } record;
  const auto note = [](void* opaque, uint64_t begin, uint64_t end, uint32_t worker) {
    auto& r = *static_cast<Record*>(opaque);
    const std::lock_guard lock(r.mutex);
    r.pieces.push_back({begin, end, worker});
  };
  host.parallel_for(host.self, count, grain, note, &record);
  return record.pieces;
}

class ParallelFor : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ParallelFor, CoversEveryIndexOnce) {
  const Services services({GetParam(), 0, {}});
  const quoin_host& host = services.table();
  for (const uint64_t count : {1, 2, 7, 64, 1000, 4099}) {
    for (const uint64_t grain : {0, 1, 3, 64, 5000}) {
      std::vector<int> seen(count, 0);
      for (const Piece& piece : pieces_of(host, count, grain)) {
        ASSERT_LT(piece.begin, piece.end);
        ASSERT_LE(piece.end, count);
        ASSERT_LT(piece.worker, host.workers(host.self));
        for (uint64_t i = piece.begin; i < piece.end; ++i) ++seen[i];
      }
      EXPECT_EQ(std::vector<int>(count, 1), seen) << "count " << count << " grain " << grain;
    }
  }
}

TEST_P(ParallelFor, DoesNothingForNoItems) {
  const Services services({GetParam(), 0, {}});
  EXPECT_TRUE(pieces_of(services.table(), 0, 16).empty());
}

TEST_P(ParallelFor, CountsNearTheLargestNumberDoNotOverflow) {
  const Services services({GetParam(), 0, {}});
  const auto pieces = pieces_of(services.table(), UINT64_MAX, uint64_t{1} << 62);
  uint64_t covered = 0;
  for (const Piece& piece : pieces) covered += piece.end - piece.begin;
  EXPECT_EQ(covered, UINT64_MAX);
}

TEST_P(ParallelFor, NestedCallsRunInlineWithTheSameWorkerNumber) {
  const Services services({GetParam(), 0, {}});
  struct Context {
    const quoin_host* host;
    std::atomic<uint64_t> items{0}, strangers{0};
  } context{&services.table()};
  const auto outer = [](void* opaque, uint64_t begin, uint64_t end, uint32_t worker) {
    struct Inner {
      Context* context;
      uint32_t worker;
      std::thread::id thread;
    } inner{static_cast<Context*>(opaque), worker, std::this_thread::get_id()};
    const auto count = [](void* o, uint64_t b, uint64_t e, uint32_t w) {
      const auto& i = *static_cast<Inner*>(o);
      i.context->items += e - b;
      if (w != i.worker || std::this_thread::get_id() != i.thread) ++i.context->strangers;
    };
    for (uint64_t i = begin; i < end; ++i)
      inner.context->host->parallel_for(inner.context->host->self, 10, 1, count, &inner);
  };
  context.host->parallel_for(context.host->self, 50, 1, outer, &context);
  EXPECT_EQ(context.items, 500u);
  EXPECT_EQ(context.strangers, 0u);
}

TEST_P(ParallelFor, MayBeCalledFromSeveralThreads) {
  const Services services({GetParam(), 0, {}});
  std::atomic<uint64_t> items{0};
  const auto count = [](void* total, uint64_t begin, uint64_t end, uint32_t) {
    *static_cast<std::atomic<uint64_t>*>(total) += end - begin;
  };
  const auto body = [&] {
    for (int i = 0; i < 200; ++i) services.table().parallel_for(services.table().self, 100, 3, count, &items);
  };
  std::thread first(body), second(body);
  first.join();
  second.join();
  EXPECT_EQ(items, 40'000u);
}

INSTANTIATE_TEST_SUITE_P(Workers, ParallelFor, ::testing::Values(1, 2, 7));

TEST(Services, WorkerNumbersAreNotSharedAtOneTime) {
  const Services services({4, 0, {}});
  struct Busy {
    std::atomic<int> in[4]{};
    std::atomic<int> clashes{0};
  } busy;
  const auto body = [](void* opaque, uint64_t, uint64_t, uint32_t worker) {
    auto& b = *static_cast<Busy*>(opaque);
    if (b.in[worker].fetch_add(1) != 0) ++b.clashes;
    std::this_thread::yield();
    b.in[worker].fetch_sub(1);
  };
  services.table().parallel_for(services.table().self, 2000, 1, body, &busy);
  EXPECT_EQ(busy.clashes, 0);
}

TEST(Services, OnOneThreadThereIsOneWorkerAndOnePiece) {
  const Services services({4, QUOIN_ISA_AVX2, {}});
  const quoin_host host = on_one_thread(services.table());
  EXPECT_EQ(host.workers(host.self), 1u);
  EXPECT_EQ(host.isa, QUOIN_ISA_AVX2);
  const auto pieces = pieces_of(host, 1000, 3);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].begin, 0u);
  EXPECT_EQ(pieces[0].end, 1000u);
  EXPECT_EQ(pieces[0].worker, 0u);
  EXPECT_TRUE(pieces_of(host, 0, 3).empty());
}

TEST(Services, ZeroThreadsMeansAllCores) {
  const Services services({0, 0, {}});
  EXPECT_EQ(services.table().workers(services.table().self),
            std::max(1u, std::min(256u, std::thread::hardware_concurrency())));
}

TEST(Services, TableTellsVersionAndInstructionSets) {
  const Services services({1, QUOIN_ISA_AVX2, {}});
  EXPECT_EQ(services.table().struct_size, sizeof(quoin_host));
  EXPECT_EQ(services.table().abi_major, QUOIN_ABI_MAJOR);
  EXPECT_EQ(services.table().abi_minor, QUOIN_ABI_MINOR);
  EXPECT_EQ(services.table().isa, QUOIN_ISA_AVX2);
  EXPECT_EQ(services.table().find_ext(services.table().self, "org.quoin.unknown.v1"), nullptr);
}

TEST(Services, AllocatesWithTheAlignmentAskedFor) {
  const Services services({1, 0, {}});
  const quoin_host& host = services.table();
  for (const uint64_t alignment : {0, 1, 8, 64, 4096}) {
    for (const uint64_t size : {0, 1, 63, 64, 100'000}) {
      void* memory = host.alloc(host.self, size, alignment);
      ASSERT_NE(memory, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % std::max<uint64_t>(alignment, 1), 0u);
      std::fill_n(static_cast<char*>(memory), size, 'x');
      host.free(host.self, memory, size, alignment);
    }
  }
}

TEST(Services, ImpossibleAllocationsGiveNull) {
  const Services services({1, 0, {}});
  const quoin_host& host = services.table();
  EXPECT_EQ(host.alloc(host.self, UINT64_MAX, 64), nullptr);
  EXPECT_EQ(host.alloc(host.self, UINT64_MAX / 2, 64), nullptr);
  EXPECT_EQ(host.alloc(host.self, 100, 48), nullptr) << "48 is not a power of two";
}

TEST(Services, LogReachesTheSink) {
  std::vector<std::pair<int, std::string>> lines;
  const Services services({1, 0, [&](int level, std::string_view text) { lines.emplace_back(level, text); }});
  services.table().log(services.table().self, QUOIN_LOG_WARN, {"packed twice", 6});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], (std::pair<int, std::string>{QUOIN_LOG_WARN, "packed"}));
}

TEST(Services, SinkThatThrowsDoesNotReachThePlugin) {
  const Services services({1, 0, [](int, std::string_view) { throw std::runtime_error("disk full"); }});
  services.table().log(services.table().self, QUOIN_LOG_INFO, {"text", 4});
  services.table().log(services.table().self, QUOIN_LOG_INFO, {nullptr, 4});
}

TEST(Services, ClockDoesNotRunBackwards) {
  const Services services({1, 0, {}});
  uint64_t last = services.table().now_ns(services.table().self);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = services.table().now_ns(services.table().self);
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace quoin::host
