#include "whole_cores.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#if defined(__aarch64__)
#define QUOIN_KEEP(a, b, c, d, e, f) __asm__ volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+w"(e), "+w"(f))
#else
#define QUOIN_KEEP(a, b, c, d, e, f) __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f))
#endif

namespace quoin::bench {
namespace {

// Rounds per second of independent multiplications and additions, which keep both kinds of units busy. The empty asm
// keeps them in registers, and keeps the compiler from computing the rounds itself.
double arithmetic() {
  constexpr int kRounds = 150'000;
  double a = 1, b = 1, c = 1, d = 1, e = 1, f = 1, g = 1, h = 1, i = 1, j = 1, k = 1, l = 1;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) {
    QUOIN_KEEP(a, b, c, d, e, f);
    QUOIN_KEEP(g, h, i, j, k, l);
    a *= 1.5, c *= 1.5, e *= 1.5, g *= 1.5, i *= 1.5, k *= 1.5;  // infinite soon, and as fast
    b += 1.5, d += 1.5, f += 1.5, h += 1.5, j += 1.5, l += 1.5;
  }
  QUOIN_KEEP(a, b, c, d, e, f);
  QUOIN_KEEP(g, h, i, j, k, l);
  return kRounds / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void bind(pthread_t thread, int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  pthread_setaffinity_np(thread, sizeof one, &one);
}

}  // namespace

WholeCores::WholeCores(uint32_t threads) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (int processor = 0; processor < CPU_SETSIZE && processors_.size() < threads; ++processor)
    if (CPU_ISSET(processor, &allowed)) processors_.push_back(processor);
}

double WholeCores::share() {
  std::vector<double> speed(processors_.size());
  std::atomic<size_t> ready{0};
  const auto measure = [&](size_t index) {
    ready.fetch_add(1);
    while (ready.load() < processors_.size()) std::this_thread::yield();
    speed[index] = arithmetic();
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < processors_.size(); ++i) {
    others.emplace_back(measure, i);
    bind(others.back().native_handle(), processors_[i]);
  }
  cpu_set_t before;
  pthread_getaffinity_np(pthread_self(), sizeof before, &before);
  bind(pthread_self(), processors_.front());
  measure(0);
  pthread_setaffinity_np(pthread_self(), sizeof before, &before);
  for (std::thread& other : others) other.join();
  best_ = std::max(best_, *std::ranges::max_element(speed));
  return *std::ranges::min_element(speed) / best_;
}

}  // namespace quoin::bench
