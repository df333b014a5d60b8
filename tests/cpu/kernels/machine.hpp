// Tiers that this machine can run, and operands that provoke overflow, saturation and rounding.
#pragma once

#include <gtest/gtest.h>
#include <quoin/abi.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "pack.hpp"

namespace quoin::cpu::test {

uint64_t machine_isa();
std::vector<const KernelTable*> usable_tiers();
// The same, and AMX on emulated tile registers, whatever the machine has.
std::vector<const KernelTable*> product_tiers();

// Tests that run once per usable tier.
class PerTier : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& k() const { return *GetParam(); }
};
inline std::string tier_name(const ::testing::TestParamInfo<const KernelTable*>& info) { return info.param->name; }

// kExtreme draws mostly the ends of the range: the largest sums an accumulator can meet.
enum class Fill { kUniform, kExtreme };

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  template <class T>
  std::vector<T> integers(int64_t count, int64_t low, int64_t high, Fill fill = Fill::kUniform) {
    std::vector<T> v(static_cast<size_t>(count));
    for (T& x : v)
      x = static_cast<T>(fill == Fill::kUniform || integer(0, 9) == 0 ? integer(low, high) : ends(low, high));
    return v;
  }
  std::vector<float> reals(int64_t count, float low = -1, float high = 1) {
    std::vector<float> v(static_cast<size_t>(count));
    for (float& x : v) x = real(low, high);
    return v;
  }
  // An activation buffer with the spare bytes that u8 kernels may read; those hold garbage.
  std::vector<uint8_t> activations(int64_t count, Fill fill = Fill::kUniform) {
    return integers<uint8_t>(count + kReadPadding, 0, 255, fill);
  }

 private:
  int64_t ends(int64_t low, int64_t high) { return integer(0, 1) ? low : high; }
  std::mt19937 engine_;
};

inline void expect_near(const std::vector<float>& got, const std::vector<float>& want, float tolerance,
                        const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i]) || want[i] == got[i]) {
      ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << what << " at " << i;
      continue;
    }
    ASSERT_NEAR(got[i], want[i], tolerance * std::max(1.0f, std::abs(want[i]))) << what << " at " << i;
  }
}

}  // namespace quoin::cpu::test
