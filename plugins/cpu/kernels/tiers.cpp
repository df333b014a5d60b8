#include "tiers.hpp"

#include <quoin/abi.h>

#include <array>

namespace quoin::cpu {
namespace {

using Fill = void (*)(KernelTable&);

KernelTable make(const char* name, uint64_t isa, Fill base, Fill better = nullptr) {
  KernelTable table;
  base(table);
  if (better) better(table);
  table.name = name;
  table.isa = isa;
  return table;
}

}  // namespace

std::span<const KernelTable* const> all_tiers() {
  static const KernelTable scalar = make("scalar", 0, fill_scalar);
#if defined(__x86_64__)
  static const KernelTable avx2 = make("avx2", QUOIN_ISA_AVX2, fill_avx2);
  static const KernelTable avx_vnni = make("avx_vnni", QUOIN_ISA_AVX2 | QUOIN_ISA_AVX_VNNI, fill_avx2, fill_avx_vnni);
  static const KernelTable avx512 = make("avx512", QUOIN_ISA_AVX512, fill_avx512);
  static const KernelTable avx512_vnni =
      make("avx512_vnni", QUOIN_ISA_AVX512 | QUOIN_ISA_AVX512_VNNI, fill_avx512, fill_avx512_vnni);
  static const std::array<const KernelTable*, 5> tiers = {&scalar, &avx2, &avx_vnni, &avx512, &avx512_vnni};
#else
  static const std::array<const KernelTable*, 1> tiers = {&scalar};
#endif
  return tiers;
}

const KernelTable& select(uint64_t isa) {
  const KernelTable* best = all_tiers().front();
  for (const KernelTable* tier : all_tiers())
    if ((tier->isa & ~isa) == 0) best = tier;
  return *best;
}

}  // namespace quoin::cpu
