#include "host/services.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/checked.hpp"
#include "host/thread_pool.hpp"

namespace quoin::host {
namespace {

constexpr uint32_t kMaxThreads = 256;
constexpr uint64_t kMinAlignment = sizeof(void*);

// Which piece of which pool the current thread is inside of: how nested calls are recognised, and the worker number
// that they keep, so that two workers' nested calls never share a worker number.
struct Inside {
  const void* pool = nullptr;
  uint32_t worker = 0;
};
thread_local Inside inside;

struct Job {
  const void* pool;
  uint64_t count, grain, pieces;
  quoin_range_fn fn;
  void* ctx;
  std::atomic<uint64_t> next{0};
};

// What each thread of the pool does: takes pieces until none is left.
void work(void* opaque, uint32_t id) {
  Job& job = *static_cast<Job*>(opaque);
  const Inside outer = std::exchange(inside, Inside{job.pool, id});
  for (uint64_t piece; (piece = job.next.fetch_add(1, std::memory_order_relaxed)) < job.pieces;) {
    const uint64_t begin = piece * job.grain;
    job.fn(job.ctx, begin, begin + std::min(job.grain, job.count - begin), id);
  }
  inside = outer;
}

void* allocate(void*, uint64_t size, uint64_t alignment) {
  alignment = std::max(alignment, kMinAlignment);
  size = std::max<uint64_t>(size, 1);
  if (!std::has_single_bit(alignment) || !checked_add(size, alignment - 1)) return nullptr;
  return std::aligned_alloc(alignment, align_up(size, alignment));
}

void release(void*, void* memory, uint64_t, uint64_t) { std::free(memory); }

uint64_t now_ns(void*) {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

const quoin_ext* find_ext(void*, const char*) { return nullptr; }  // this host offers no extension

uint32_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

}  // namespace

struct Services::Pool {
  explicit Pool(uint32_t count, LogSink log) : threads(count), sink(std::move(log)) {}
  ThreadPool threads;
  LogSink sink;
  std::mutex sink_mutex;

  static uint32_t count_workers(void* self) { return static_cast<Pool*>(self)->threads.workers(); }

  static void parallel_for(void* self, uint64_t count, uint64_t grain, quoin_range_fn fn, void* ctx) {
    Pool& pool = *static_cast<Pool*>(self);
    if (count == 0) return;
    grain = std::max<uint64_t>(grain, 1);
    const uint64_t pieces = (count - 1) / grain + 1;
    const bool nested = inside.pool != nullptr;
    const uint32_t workers = pool.threads.workers();
    if (nested || workers == 1 || pieces == 1) {
      fn(ctx, 0, count, inside.pool == self ? inside.worker : 0);
      return;
    }
    Job job{self, count, grain, pieces, fn, ctx};
    pool.threads.run(static_cast<uint32_t>(std::min<uint64_t>(workers, pieces)), work, &job);
  }

  // The sink is ours and may throw (out of memory); a plugin must never see that, so the line is dropped.
  static void log(void* self, int32_t level, quoin_str message) {
    Pool& pool = *static_cast<Pool*>(self);
    if (!pool.sink || message.data == nullptr) return;
    try {
      const std::lock_guard lock(pool.sink_mutex);
      pool.sink(level, std::string_view(message.data, message.size));
    } catch (...) {
    }
  }
};

Services::Services(Options options)
    : pool_(std::make_unique<Pool>(std::min(options.threads == 0 ? cores() : options.threads, kMaxThreads),
                                   std::move(options.log))) {
  table_.struct_size = sizeof table_;
  table_.abi_major = QUOIN_ABI_MAJOR;
  table_.abi_minor = QUOIN_ABI_MINOR;
  table_.self = pool_.get();
  table_.isa = options.isa;
  table_.alloc = allocate;
  table_.free = release;
  table_.log = Pool::log;
  table_.workers = Pool::count_workers;
  table_.parallel_for = Pool::parallel_for;
  table_.now_ns = now_ns;
  table_.find_ext = find_ext;
}

Services::~Services() = default;

bool Services::pin_threads() { return pool_->threads.pin(); }

quoin_host on_one_thread(const quoin_host& host) {
  quoin_host out = host;
  out.workers = [](void*) { return uint32_t{1}; };
  out.parallel_for = [](void*, uint64_t count, uint64_t, quoin_range_fn fn, void* ctx) {
    if (count > 0) fn(ctx, 0, count, 0);
  };
  return out;
}

}  // namespace quoin::host
