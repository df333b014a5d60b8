#include "host/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <system_error>

namespace quoin::host {
namespace {

// Some tens of microseconds; only while each thread can have a core of its own.
constexpr uint32_t kLooks = 1000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

bool changes_soon(const std::atomic<uint32_t>& value, uint32_t from, uint32_t looks) {
  for (; looks > 0; --looks) {
    if (value.load(std::memory_order_acquire) != from) return true;
    relax();
  }
  return false;
}

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) {
  if (threads <= std::thread::hardware_concurrency()) looks_ = kLooks;
  helpers_.reserve(threads);
  try {
    for (uint32_t worker = 1; worker < threads; ++worker) helpers_.emplace_back([this, worker] { help(worker); });
  } catch (const std::system_error&) {
  }
}

ThreadPool::~ThreadPool() {
  ending_.store(true, std::memory_order_relaxed);
  call_.fetch_add(1, std::memory_order_release);
  call_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::run(uint32_t most, Body body, void* ctx) {
  const std::lock_guard lock(turn_);
  body_ = body;
  ctx_ = ctx;
  most = std::min(most, workers());
  most_.store(most, std::memory_order_relaxed);
  const uint32_t call = call_.load(std::memory_order_relaxed) + 1;
  gate_.store(gate_of(call), std::memory_order_release);
  call_.store(call, std::memory_order_release);
  if (most == workers()) {
    call_.notify_all();
  } else {
    for (uint32_t i = 1; i < most; ++i) call_.notify_one();
  }
  body(ctx, 0);
  close_and_wait();
}

void ThreadPool::close_and_wait() {
  uint64_t gate = gate_.fetch_or(kClosed, std::memory_order_acq_rel);
  for (uint32_t looks = looks_; (gate & kInside) != 0 && looks > 0; --looks) {
    relax();
    gate = gate_.load(std::memory_order_acquire);
  }
  while ((gate & kInside) != 0) {
    const uint32_t left = left_.load(std::memory_order_acquire);
    gate = gate_.load(std::memory_order_acquire);
    if ((gate & kInside) != 0) left_.wait(left, std::memory_order_acquire);
  }
}

// Into the gate of this call, if it is open and has room.
bool ThreadPool::enter(uint32_t call) {
  uint64_t gate = gate_.load(std::memory_order_acquire);
  while (gate >> 32 == call && (gate & kClosed) == 0 && (gate & kInside) + 1 < most_.load(std::memory_order_relaxed))
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
  return false;
}

void ThreadPool::leave() {
  const uint64_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kClosed) == 0 || (before & kInside) != 1) return;
  left_.fetch_add(1, std::memory_order_release);
  left_.notify_one();
}

void ThreadPool::help(uint32_t worker) {
  for (uint32_t seen = 0;;) {
    if (!changes_soon(call_, seen, looks_)) call_.wait(seen, std::memory_order_acquire);
    const uint32_t call = call_.load(std::memory_order_acquire);
    if (ending_.load(std::memory_order_relaxed)) return;
    if (call == seen) continue;
    seen = call;
    if (!enter(call)) continue;
    body_(ctx_, worker);
    leave();
  }
}

bool ThreadPool::pin() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  int cpu = -1;
  for (uint32_t worker = 0; worker < workers(); ++worker) {
    do ++cpu;
    while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &allowed));
    if (cpu == CPU_SETSIZE) return false;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    const pthread_t thread = worker == 0 ? pthread_self() : helpers_[worker - 1].native_handle();
    if (pthread_setaffinity_np(thread, sizeof one, &one) != 0) return false;
  }
  return true;
}

}  // namespace quoin::host
