#include "peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quoin::cpu::test {
namespace {

// The shortest of `times` calls, seconds.
template <class F>
double fastest(int times, const F& f) {
  double best = 1e9;
  for (int i = 0; i < times; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

#if defined(__x86_64__)

constexpr int kChains = 12;  // independent sums: more than latency times throughput of any of these instructions
constexpr int64_t kRounds = 100'000;
constexpr int kTimes = 20;

// STEP(acc) on twelve variables, kRounds times. Not an array: compilers keep those in memory here. The empty asm keeps
// them from joining steps, and from taking a product that does not change out of the loop.
#define QUOIN_ONE(acc) \
  acc = STEP(acc);     \
  __asm__ volatile("" : "+v"(acc), "+v"(a))
#define QUOIN_CHAINS(type, a)                                                                          \
  type c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, ca = a, cb = a; \
  for (int64_t round = 0; round < kRounds; ++round) {                                                  \
    QUOIN_ONE(c0);                                                                                     \
    QUOIN_ONE(c1);                                                                                     \
    QUOIN_ONE(c2);                                                                                     \
    QUOIN_ONE(c3);                                                                                     \
    QUOIN_ONE(c4);                                                                                     \
    QUOIN_ONE(c5);                                                                                     \
    QUOIN_ONE(c6);                                                                                     \
    QUOIN_ONE(c7);                                                                                     \
    QUOIN_ONE(c8);                                                                                     \
    QUOIN_ONE(c9);                                                                                     \
    QUOIN_ONE(ca);                                                                                     \
    QUOIN_ONE(cb);                                                                                     \
  }

__attribute__((target("avx2,fma"))) void madd_256() {
#define STEP(acc) _mm256_add_epi32(acc, _mm256_madd_epi16(a, a))
  __m256i a = _mm256_set1_epi16(3);
  __asm__ volatile("" : "+x"(a));
  QUOIN_CHAINS(__m256i, a)
#undef STEP
}
__attribute__((target("avx2,fma"))) void fma_256() {
#define STEP(acc) _mm256_fmadd_ps(a, a, acc)
  __m256 a = _mm256_set1_ps(0.5f);
  __asm__ volatile("" : "+x"(a));
  QUOIN_CHAINS(__m256, a)
#undef STEP
}
__attribute__((target("avx2,avxvnni"))) void dot_256() {
#define STEP(acc) _mm256_dpbusd_avx_epi32(acc, a, a)
  __m256i a = _mm256_set1_epi8(3);
  __asm__ volatile("" : "+x"(a));
  QUOIN_CHAINS(__m256i, a)
#undef STEP
}
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) void madd_512() {
#define STEP(acc) _mm512_add_epi32(acc, _mm512_madd_epi16(a, a))
  __m512i a = _mm512_set1_epi16(3);
  __asm__ volatile("" : "+v"(a));
  QUOIN_CHAINS(__m512i, a)
#undef STEP
}
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) void fma_512() {
#define STEP(acc) _mm512_fmadd_ps(a, a, acc)
  __m512 a = _mm512_set1_ps(0.5f);
  __asm__ volatile("" : "+v"(a));
  QUOIN_CHAINS(__m512, a)
#undef STEP
}
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) void dot_512() {
#define STEP(acc) _mm512_dpbusd_epi32(acc, a, a)
  __m512i a = _mm512_set1_epi8(3);
  __asm__ volatile("" : "+v"(a));
  QUOIN_CHAINS(__m512i, a)
#undef STEP
}

struct Chains {
  void (*run)();
  int products;  // of one step
};
double rate(const Chains& chains) { return 2.0 * chains.products * kChains * kRounds / fastest(kTimes, chains.run); }

__attribute__((target("avx2"))) void read_all(const char* p, size_t bytes) {
  __m256i sum[4] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128)
    for (int j = 0; j < 4; ++j)
      sum[j] = _mm256_add_epi64(sum[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i) + j));
  __asm__ volatile("" : "+x"(sum[0]), "+x"(sum[1]), "+x"(sum[2]), "+x"(sum[3]));
}

#endif

}  // namespace

Peak measure_peak([[maybe_unused]] const KernelTable& tier) {
#if defined(__x86_64__)
  const std::string_view name = tier.name;
  if (name == "avx512_vnni") return {rate({dot_512, 64}), rate({fma_512, 16})};
  if (name == "avx512") return {rate({madd_512, 32}), rate({fma_512, 16})};
  if (name == "avx_vnni") return {rate({dot_256, 32}), rate({fma_256, 8})};
  if (name == "avx2") return {rate({madd_256, 16}), rate({fma_256, 8})};
#endif
  return {};
}

double measure_read_bandwidth() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return 0;
  const std::vector<char> memory(size_t{256} << 20, 1);  // more than any cache level that one core fills
  return static_cast<double>(memory.size()) / fastest(5, [&] { read_all(memory.data(), memory.size()); });
#else
  return 0;
#endif
}

}  // namespace quoin::cpu::test
