#include "machine.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace quoin::cpu::test {

uint64_t machine_isa() {
  uint64_t isa = 0;
#if defined(__x86_64__)
  const auto has = [](bool supported, uint64_t bit) { return supported ? bit : 0; };
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool avx_vnni = avx2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 4)) != 0;
  isa |= has(avx2, QUOIN_ISA_AVX2) | has(avx512, QUOIN_ISA_AVX512) | has(avx_vnni, QUOIN_ISA_AVX_VNNI);
  isa |= has(avx512 && __builtin_cpu_supports("avx512vnni"), QUOIN_ISA_AVX512_VNNI);
#endif
  return isa;
}

std::vector<const KernelTable*> usable_tiers() { return tiers(machine_isa()); }

}  // namespace quoin::cpu::test
