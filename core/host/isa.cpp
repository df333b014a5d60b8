#include <array>
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
  const char* name;
  uint64_t own;   // the bit that makes the tier; 0: scalar
  uint64_t bits;  // everything it includes
};
constexpr uint64_t kAvx512 = QUOIN_ISA_AVX2 | QUOIN_ISA_AVX512;
constexpr std::array<Tier, 6> kTiers{{
    {"scalar", 0, 0},
    {"avx2", QUOIN_ISA_AVX2, QUOIN_ISA_AVX2},
    {"avxvnni", QUOIN_ISA_AVX_VNNI, QUOIN_ISA_AVX2 | QUOIN_ISA_AVX_VNNI},
    {"avx512", QUOIN_ISA_AVX512, kAvx512},
    {"avx512vnni", QUOIN_ISA_AVX512_VNNI, kAvx512 | QUOIN_ISA_AVX512_VNNI},
    {"amx", QUOIN_ISA_AMX_INT8, kAvx512 | QUOIN_ISA_AVX512_VNNI | QUOIN_ISA_AMX_INT8},
}};

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
constexpr bool has(uint32_t reg, std::initializer_list<int> bits) {
  for (const int bit : bits) {
    if ((reg >> bit & 1u) == 0) return false;
  }
  return true;
}

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
  if (!has(cpuid(1, 0).ecx, {27}) || !has(cpuid(7, 0).edx, {24, 25}))
    return Amx::absent;  // OSXSAVE; AMX-TILE, AMX-INT8
  if ((saved_states() & kTileStates) != kTileStates) return Amx::not_saved;
  return request_amx() ? Amx::granted : Amx::refused;
}

// Feature bits: Intel SDM volume 2A, CPUID.
uint64_t cpu_isa() {
  const Leaf basic = cpuid(1, 0);
  if (!has(basic.ecx, {27})) return 0;  // OSXSAVE
  const uint64_t saved = saved_states();
  const auto os_saves = [&](uint64_t states) { return (saved & states) == states; };
  const Leaf features = cpuid(7, 0);
  const bool avx2 = os_saves(0x6) && has(basic.ecx, {12, 28, 29}) && has(features.ebx, {5});  // FMA, AVX, F16C; AVX2
  if (!avx2) return 0;
  uint64_t isa = QUOIN_ISA_AVX2;
  if (features.eax >= 1 && has(cpuid(7, 1).eax, {4})) isa |= QUOIN_ISA_AVX_VNNI;
  if (!os_saves(0xe6) || !has(features.ebx, {16, 17, 30, 31})) return isa;  // F, DQ, BW, VL
  isa |= QUOIN_ISA_AVX512;
  if (has(features.ecx, {11})) isa |= QUOIN_ISA_AVX512_VNNI;
  if (amx() == Amx::granted) isa |= QUOIN_ISA_AMX_INT8;
  return isa;
}
#else
uint64_t cpu_isa() { return 0; }
Amx ask_for_amx() { return Amx::absent; }
#endif

}  // namespace

Amx amx() {
  static const Amx state = ask_for_amx();
  return state;
}

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

Result<uint64_t> detect_isa() {
  static const uint64_t available = cpu_isa();
  const char* limit = std::getenv("QUOIN_ISA_MAX");
  if (limit == nullptr || *limit == '\0') return available;
  auto allowed = parse_isa(limit);
  if (!allowed) return std::move(allowed).failure().at("environment variable QUOIN_ISA_MAX");
  return available & *allowed;
}

std::string isa_name(uint64_t isa) {
  std::string name = "scalar";
  for (const Tier& tier : kTiers) {
    if ((isa & tier.own) != 0) name = tier.name;
  }
  return name;
}

std::vector<std::string> isa_tiers() {
  std::vector<std::string> names;
  for (const Tier& tier : kTiers) names.emplace_back(tier.name);
  return names;
}

Result<uint64_t> parse_isa(std::string_view name) {
  for (const Tier& tier : kTiers) {
    if (name == tier.name) return tier.bits;
  }
  return fail(Code::usage, "\"{}\" is not an instruction set tier", name).hint("use one of " + join(isa_tiers(), ", "));
}

}  // namespace quoin::host
