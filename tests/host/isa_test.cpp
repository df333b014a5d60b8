#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/amx.hpp"
#include "host/services.hpp"
#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using ::testing::HasSubstr;
using testing::ScopedVariable;

TEST(Isa, NamesAndBitsOfEveryTierAgree) {
  for (const std::string& name : isa_tiers()) {
    const auto bits = parse_isa(name);
    ASSERT_TRUE(bits.has_value()) << name;
    EXPECT_EQ(isa_name(*bits), name);
  }
}

TEST(Isa, TiersAreChains) {
  EXPECT_EQ(*parse_isa("scalar"), 0u);
  EXPECT_EQ(*parse_isa("avx512") & *parse_isa("avx2"), *parse_isa("avx2"));
  EXPECT_EQ(*parse_isa("amx") & *parse_isa("avx512vnni"), *parse_isa("avx512vnni"));
  EXPECT_EQ(*parse_isa("avxvnni") & QUOIN_ISA_AVX512, 0u);
}

// The bit is set only where the kernel has said yes; a processor whose tiles stay unused says why.
TEST(Isa, AmxNeedsThePermissionOfTheKernel) {
  EXPECT_EQ((detect_isa().value() & QUOIN_ISA_AMX_INT8) != 0, amx() == Amx::granted);
  EXPECT_EQ(amx_obstacle(Amx::granted), "");
  EXPECT_EQ(amx_obstacle(Amx::absent), "");
  EXPECT_THAT(amx_obstacle(Amx::refused), HasSubstr("the kernel refuses"));
  EXPECT_THAT(amx_obstacle(Amx::not_saved), HasSubstr("the operating system does not keep"));
}

TEST(Isa, UnknownNameListsTheKnownOnes) {
  const auto bits = parse_isa("sse2");
  ASSERT_FALSE(bits.has_value());
  EXPECT_EQ(bits.error().code, Code::usage);
  EXPECT_THAT(bits.error().text(), HasSubstr("scalar, avx2, avxvnni, avx512, avx512vnni, amx"));
}

TEST(Isa, EnvironmentLowersAndNeverRaises) {
  const uint64_t all = detect_isa().value();
  for (const std::string& name : isa_tiers()) {
    const ScopedVariable limit("QUOIN_ISA_MAX", name);
    EXPECT_EQ(detect_isa().value(), all & *parse_isa(name)) << name;
  }
  const ScopedVariable none("QUOIN_ISA_MAX", "");
  EXPECT_EQ(detect_isa().value(), all);
}

TEST(Isa, UnknownNameInTheEnvironmentIsAnErrorThatNamesTheVariable) {
  const ScopedVariable limit("QUOIN_ISA_MAX", "avx9");
  const auto isa = detect_isa();
  ASSERT_FALSE(isa.has_value());
  EXPECT_THAT(isa.error().text(), HasSubstr("QUOIN_ISA_MAX"));
  EXPECT_THAT(isa.error().text(), HasSubstr("avx9"));
}

#if defined(__x86_64__)
// The compiler's runtime asks the same questions of the CPU independently.
TEST(Isa, AgreesWithTheCompilersDetection) {
  __builtin_cpu_init();
  const uint64_t isa = detect_isa().value();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  EXPECT_EQ((isa & QUOIN_ISA_AVX2) != 0, avx2);
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ((isa & QUOIN_ISA_AVX512) != 0, avx512);
  EXPECT_EQ((isa & QUOIN_ISA_AVX512_VNNI) != 0, avx512 && __builtin_cpu_supports("avx512vnni"));
}
#endif

}  // namespace
}  // namespace quoin::host
