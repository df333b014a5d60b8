#include "ops/tensor.hpp"

#include <gtest/gtest.h>

namespace quoin {
namespace {

constexpr int64_t kHuge = int64_t{1} << 40;

std::string why(const Shape& shape) {
  const auto count = checked_numel(shape);
  return count ? "" : count.error().text();
}

TEST(CheckedNumel, CountsElements) {
  EXPECT_EQ(checked_numel(Shape{}).value(), 1);
  EXPECT_EQ(checked_numel(Shape{2, 3, 4}).value(), 24);
  EXPECT_EQ(checked_numel(Shape{2, 0, 4}).value(), 0);
  EXPECT_EQ(checked_numel(Shape{kHuge, 256}).value(), kHuge * 256);
}

TEST(CheckedNumel, RefusesWhatIsTooLargeNegativeOrOfTooManyAxes) {
  EXPECT_NE(why({kHuge, 257}).find("more than 2^48 elements"), std::string::npos);
  EXPECT_NE(why({kHuge, kHuge, kHuge}).find("more than 2^48 elements"), std::string::npos);
  EXPECT_NE(why({4, -1}).find("shape [4, -1] has a negative dimension"), std::string::npos);
  EXPECT_NE(why(Shape(kMaxRank + 1, 1)).find("more than 8 dimensions"), std::string::npos);
}

// Strides and blocks are products of the other axes, which would overflow.
TEST(CheckedNumel, AnEmptyAxisDoesNotHideHugeOnes) {
  EXPECT_NE(why({0, kHuge, kHuge}).find("more than 2^48 elements"), std::string::npos);
  EXPECT_NE(why({kHuge, kHuge, 0}).find("more than 2^48 elements"), std::string::npos);
  EXPECT_EQ(why({0, kHuge, 256}), "");
}

}  // namespace
}  // namespace quoin
