// Usage: concurrent PROGRAM. Eight threads, each with an instance of its own of one program, on one engine whose pool
// all of them share; every run must give the same bytes. Meant for builds with -fsanitize=thread.
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "support.hpp"

using namespace quoin;

namespace {

// One helper thread that takes half of every range that a caller hands in while it is idle.
class Pool {
 public:
  Pool() : helper_([this] { serve(); }) {}
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    helper_.join();
  }
  void run(uint64_t count, quoin_range_fn fn, void* context) {
    if (count < 2 || taken_.test_and_set(std::memory_order_acquire)) {  // the helper is busy: all of it here
      fn(context, 0, count, 0);
      return;
    }
    std::unique_lock lock(mutex_);
    job_ = {count / 2, count, fn, context};
    changed_.notify_all();
    lock.unlock();
    fn(context, 0, count / 2, 0);
    lock.lock();
    changed_.wait(lock, [this] { return job_.fn == nullptr; });
    taken_.clear(std::memory_order_release);
  }

 private:
  struct Job {
    uint64_t begin = 0, end = 0;
    quoin_range_fn fn = nullptr;
    void* context = nullptr;
  };
  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || job_.fn != nullptr; });
      if (stop_) return;
      const Job job = job_;
      lock.unlock();
      job.fn(job.context, job.begin, job.end, 1);
      lock.lock();
      job_.fn = nullptr;
      changed_.notify_all();
    }
  }

  std::atomic_flag taken_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Job job_;
  bool stop_ = false;
  std::thread helper_;
};

std::string bytes_of(const quoin_tensor& tensor) {
  return std::string(static_cast<const char*>(tensor.data), tensor.size);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) testing::die("usage: concurrent PROGRAM");
  constexpr int kThreads = 8, kRuns = 5;
  Pool pool;
  quoin_host host = quoin_host_of_system();
  host.self = &pool;
  host.workers = [](void*) { return uint32_t{2}; };
  host.parallel_for = [](void* self, uint64_t count, uint64_t, quoin_range_fn fn, void* context) {
    static_cast<Pool*>(self)->run(count, fn, context);
  };
  const rt::Engine engine = testing::engine_with({}, &host);
  rt::Error error;
  const rt::Program program = engine.open(argv[1], {}, error);
  if (!program) testing::die(error);
  std::vector<std::string> results(kThreads);
  std::atomic<int> runs = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      rt::Error mine;
      rt::Instance instance = program.instance({0, QUOIN_FALLBACK_ALLOW}, mine);
      if (!instance || !instance.plan({}, mine)) testing::die(mine);
      testing::Buffers buffers(program, 0);
      for (int run = 0; run < kRuns; ++run) {
        if (!instance.run(buffers.inputs, buffers.outputs, {}, mine)) testing::die(mine);
        const std::string now = bytes_of(buffers.outputs[0]);
        if (run > 0 && now != results[static_cast<size_t>(t)])
          testing::die("a run gave other bytes than the one before");
        results[static_cast<size_t>(t)] = now;
        ++runs;
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results)
    if (result != results[0]) testing::die("two threads got different bytes");
  std::printf("%d runs on %d threads, equal bytes\n", runs.load(), kThreads);
  return 0;
}
