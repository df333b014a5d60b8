#include "machine.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
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
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  isa |= has(vnni, QUOIN_ISA_AVX512_VNNI);
  // AMX-TILE and AMX-INT8; tile data is used by permission of the kernel only (ARCH_REQ_XCOMP_PERM).
  const bool amx = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 24 & 3) == 3;
  isa |= has(vnni && amx && syscall(SYS_arch_prctl, 0x1023, 18) == 0, QUOIN_ISA_AMX_INT8);
#endif
  return isa;
}

std::vector<const KernelTable*> usable_tiers() { return tiers(machine_isa()); }

}  // namespace quoin::cpu::test
