#include "tiers.hpp"

#include <quoin/abi.h>

#include <array>

namespace quoin::cpu {
namespace {

using Fill = void (*)(KernelTable&);

// Each of `fills` replaces what it does better than those before.
struct Tier {
  const char* name;
  uint64_t isa;
  std::array<Fill, 3> fills;  // null behind the last
};

// Worst first.
constexpr Tier kTiers[] = {
    {"scalar", 0, {fill_scalar}},
#if defined(__x86_64__)
    {"avx2", QUOIN_ISA_AVX2, {fill_avx2}},
    {"avx_vnni", QUOIN_ISA_AVX2 | QUOIN_ISA_AVX_VNNI, {fill_avx2, fill_avx_vnni}},
    {"avx512", QUOIN_ISA_AVX512, {fill_avx512}},
    {"avx512_vnni", QUOIN_ISA_AVX512 | QUOIN_ISA_AVX512_VNNI, {fill_avx512, fill_avx512_vnni}},
    {"amx", QUOIN_ISA_AVX512 | QUOIN_ISA_AVX512_VNNI | QUOIN_ISA_AMX_INT8, {fill_avx512, fill_avx512_vnni, fill_amx}},
#endif
};

// Made when it is first asked for: filling a table takes instructions of its tier.
template <size_t Index>
const KernelTable& table() {
  static const KernelTable made = [] {
    KernelTable t;
    for (const Fill fill : kTiers[Index].fills)
      if (fill != nullptr) fill(t);
    t.name = kTiers[Index].name;
    t.isa = kTiers[Index].isa;
    return t;
  }();
  return made;
}

template <size_t... Index>
std::vector<const KernelTable*> tables(uint64_t isa, std::index_sequence<Index...>) {
  std::vector<const KernelTable*> out;
  const auto add = [&]<size_t I>() {
    if ((kTiers[I].isa & ~isa) == 0) out.push_back(&table<I>());
  };
  (add.template operator()<Index>(), ...);
  return out;
}

}  // namespace

std::vector<const KernelTable*> tiers(uint64_t isa) {
  return tables(isa, std::make_index_sequence<std::size(kTiers)>());
}

const KernelTable& select(uint64_t isa) { return *tiers(isa).back(); }

}  // namespace quoin::cpu
