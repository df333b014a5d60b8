#include "ops/short_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace quoin {
namespace {

std::string text(const ShortText& from) { return from.text(); }

TEST(ShortText, ShapesAreListsInBrackets) {
  EXPECT_EQ(text(shape_text({})), "[]");
  EXPECT_EQ(text(shape_text(std::vector<int64_t>{7})), "[7]");
  EXPECT_EQ(text(shape_text(std::vector<int64_t>{1, -3, INT64_MAX})), "[1, -3, 9223372036854775807]");
}

TEST(ShortText, TypesNameTheElement) {
  EXPECT_EQ(text(type_text(DType::s8, std::vector<int64_t>{2, 3})), "s8[2, 3]");
  EXPECT_EQ(text(type_text(DType::f32, std::vector<int64_t>{512, 64, 8}, 5)), "f32[..512, 64, ..8]");
  EXPECT_EQ(text(type_text(static_cast<DType>(99), {})), "an unknown type[]");
}

TEST(ShortText, WhatDoesNotFitIsCut) {
  ShortText out;
  out.add("{}", std::string(200, 'a'));
  out.add("{}", std::string(200, 'b'));
  EXPECT_EQ(text(out), std::string(200, 'a') + std::string(55, 'b')) << "one byte is the terminator's";
  out.add("more");
  EXPECT_EQ(out.size(), 255u);
  const std::string shape = text(shape_text(std::vector<int64_t>(100000, 12)));
  EXPECT_EQ(shape.size(), 255u);
  EXPECT_TRUE(shape.starts_with("[12, 12, "));
}

}  // namespace
}  // namespace quoin
