// Threads that share in the work of the thread that asks, and never keep it waiting for one that has not begun.
//
// Whoever calls run() begins at once; the other threads join as they wake up. When the caller has nothing left to do it
// closes the gate and waits only for those inside. On a machine whose cores are busy with something else a helper that
// gets no core in time is left behind, and the work is done by whoever has one. Helpers look out for the next call for
// some microseconds, as the next operator of a model is near, and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace quoin::host {

class ThreadPool {
 public:
  using Body = void (*)(void* ctx, uint32_t worker);
  // At least one worker, the calling thread; fewer than asked for where the system gives no more threads.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  uint32_t workers() const { return static_cast<uint32_t>(helpers_.size()) + 1; }
  // Runs body(ctx, 0) here and body(ctx, worker) on some of the others, each at most once; returns when all that began
  // have ended. `most`: threads that may take part. The body must not throw, nor call run(). Callers take turns.
  void run(uint32_t most, Body body, void* ctx);
  // Binds the calling thread and the others to a core each, of those that the process may use. False: there are fewer
  // cores than threads, or the system refuses; threads that were bound stay so.
  bool pin();

 private:
  void help(uint32_t worker);
  bool enter(uint32_t call);
  void leave();
  void close_and_wait();

  // The gate of one call: its number, whether it is closed, and how many helpers are inside.
  static constexpr uint64_t kClosed = uint64_t{1} << 31, kInside = kClosed - 1;
  static uint64_t gate_of(uint32_t call) { return uint64_t{call} << 32; }

  std::vector<std::thread> helpers_;
  std::mutex turn_;
  Body body_ = nullptr;  // written before the gate opens, read by those inside
  void* ctx_ = nullptr;
  std::atomic<uint32_t> most_ = 0;
  alignas(64) std::atomic<uint32_t> call_ = 0;  // the number of the call
  alignas(64) std::atomic<uint64_t> gate_ = kClosed;
  alignas(64) std::atomic<uint32_t> left_ = 0;  // grows when the last one leaves a closed gate
  std::atomic<bool> ending_ = false;
  uint32_t looks_ = 0;  // at `call_` or `gate_` before a thread sleeps
};

}  // namespace quoin::host
