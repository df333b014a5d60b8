#include <cstdlib>

#include "base/text.hpp"
#include "host/amx.hpp"
#include "host/services.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace quoin::host {
namespace {

struct Tier {
  char name[12];
  uint64_t own;   // the bit that makes the tier; 0: scalar
  uint64_t bits;  // everything it includes
};
constexpr uint64_t kAvx512 = QUOIN_ISA_AVX2 | QUOIN_ISA_AVX512;
constexpr Tier kTiers[] = {
    {"scalar", 0, 0},
    {"avx2", QUOIN_ISA_AVX2, QUOIN_ISA_AVX2},
    {"avxvnni", QUOIN_ISA_AVX_VNNI, QUOIN_ISA_AVX2 | QUOIN_ISA_AVX_VNNI},
    {"avx512", QUOIN_ISA_AVX512, kAvx512},
    {"avx512vnni", QUOIN_ISA_AVX512_VNNI, kAvx512 | QUOIN_ISA_AVX512_VNNI},
    {"amx", QUOIN_ISA_AMX_INT8, kAvx512 | QUOIN_ISA_AVX512_VNNI | QUOIN_ISA_AMX_INT8},
};

const Tier* find_tier(std::string_view name) {
  for (const Tier& tier : kTiers)
    if (name == tier.name) return &tier;
  return nullptr;
}

#if defined(__x86_64__)
struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};
Leaf cpuid(uint32_t leaf, uint32_t subleaf) {
  Leaf r;
  // 0 is returned, and r stays zero, for a leaf this CPU does not have.
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}
consteval uint32_t mask(std::initializer_list<int> bits) {
  uint32_t out = 0;
  for (const int bit : bits) out |= 1u << bit;
  return out;
}
constexpr bool has(uint64_t bits, uint64_t wanted) { return (bits & wanted) == wanted; }

// Which register states the OS saves on a context switch (XCR0). Only legal when CPUID reports OSXSAVE.
uint64_t saved_states() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the large AMX tile state only on request (Documentation/arch/x86/xstate.rst).
bool request_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Amx ask_for_amx() {
  constexpr uint64_t kTileStates = uint64_t{3} << 17;
  if (!has(cpuid(1, 0).ecx, mask({27})) || !has(cpuid(7, 0).edx, mask({24, 25})))
    return Amx::absent;  // OSXSAVE; AMX-TILE, AMX-INT8
  if (!has(saved_states(), kTileStates)) return Amx::not_saved;
  return request_amx() ? Amx::granted : Amx::refused;
}

// Feature bits: Intel SDM volume 2A, CPUID.
uint64_t cpu_isa() {
  const Leaf basic = cpuid(1, 0);
  if (!has(basic.ecx, mask({27}))) return 0;  // OSXSAVE
  const uint64_t saved = saved_states();
  const Leaf features = cpuid(7, 0);
  const bool avx2 =
      has(saved, 0x6) && has(basic.ecx, mask({12, 28, 29})) && has(features.ebx, mask({5}));  // FMA, AVX, F16C; AVX2
  if (!avx2) return 0;
  uint64_t isa = QUOIN_ISA_AVX2;
  if (features.eax >= 1 && has(cpuid(7, 1).eax, mask({4}))) isa |= QUOIN_ISA_AVX_VNNI;
  if (!has(saved, 0xe6) || !has(features.ebx, mask({16, 17, 30, 31}))) return isa;  // F, DQ, BW, VL
  isa |= QUOIN_ISA_AVX512;
  if (has(features.ecx, mask({11}))) isa |= QUOIN_ISA_AVX512_VNNI;
  if (ask_for_amx() == Amx::granted) isa |= QUOIN_ISA_AMX_INT8;
  return isa;
}
#else
uint64_t cpu_isa() { return 0; }
Amx ask_for_amx() { return Amx::absent; }
#endif

}  // namespace

Amx amx() { return ask_for_amx(); }

std::string amx_obstacle(Amx state) {
  switch (state) {
    case Amx::not_saved:
      return "the processor has AMX, the operating system does not keep its tile registers: they stay unused";
    case Amx::refused:
      return "the processor has AMX, the kernel refuses its tile registers to this process: they stay unused";
    case Amx::absent:
    case Amx::granted:
      break;
  }
  return {};
}

uint64_t allowed_isa() {
  const char* limit = std::getenv("QUOIN_ISA_MAX");
  if (limit == nullptr || *limit == '\0') return cpu_isa();
  const Tier* tier = find_tier(limit);
  return tier == nullptr ? 0 : cpu_isa() & tier->bits;
}

Result<uint64_t> detect_isa() {
  const char* limit = std::getenv("QUOIN_ISA_MAX");
  if (limit == nullptr || *limit == '\0') return cpu_isa();
  auto allowed = parse_isa(limit);
  if (!allowed) return std::move(allowed).failure().at("environment variable QUOIN_ISA_MAX");
  return cpu_isa() & *allowed;
}

const char* isa_tier(uint64_t isa) {
  const char* name = kTiers[0].name;
  for (const Tier& tier : kTiers)
    if ((isa & tier.own) != 0) name = tier.name;
  return name;
}

std::string isa_name(uint64_t isa) { return isa_tier(isa); }

std::vector<std::string> isa_tiers() {
  std::vector<std::string> names;
  for (const Tier& tier : kTiers) names.emplace_back(tier.name);
  return names;
}

Result<uint64_t> parse_isa(std::string_view name) {
  if (const Tier* tier = find_tier(name)) return tier->bits;
  return fail(Code::usage, "\"{}\" is not an instruction set tier", name).hint("use one of " + join(isa_tiers(), ", "));
}

}  // namespace quoin::host
