#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "conform/conform.hpp"

namespace quoin::conform {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Result<Expectations> read(const std::string& yaml) {
  const std::string path = ::testing::TempDir() + "/conform.yaml";
  std::ofstream(path) << yaml;
  return read_expectations(path);
}

std::string error_of(const std::string& yaml) {
  const auto found = read(yaml);
  return found ? "no error" : found.error().text();
}

TEST(Expectations, ReadsEveryKey) {
  const auto found = read(R"(tolerance: 1
unsupported:
  - cases: accuracy/int16/*
    reason: the device has no int16 unit
xfail:
  - cases: blob/bit-flips
    link: https://example.org/issues/7
)");
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->tolerance, 1);
  ASSERT_THAT(found->unsupported, SizeIs(1));
  EXPECT_EQ(found->unsupported[0].cases, "accuracy/int16/*");
  EXPECT_EQ(found->unsupported[0].reason, "the device has no int16 unit");
  EXPECT_THAT(found->unsupported[0].place, HasSubstr("conform.yaml:3:"));
  ASSERT_THAT(found->xfail, SizeIs(1));
  EXPECT_EQ(found->xfail[0].reason, "https://example.org/issues/7");
}

TEST(Expectations, AnEmptyFileExpectsNothing) {
  for (const char* yaml : {"", "# nothing yet\n", "unsupported:\nxfail: []\n"}) {
    const auto found = read(yaml);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_THAT(found->unsupported, IsEmpty());
    EXPECT_EQ(found->tolerance, 0);
  }
}

TEST(Expectations, UnknownKeysAreErrorsWithTheNearest) {
  EXPECT_THAT(error_of("tolerence: 1\n"), HasSubstr("did you mean \"tolerance\"?"));
  EXPECT_THAT(error_of("xfail:\n  - cases: a/b\n    lnk: x\n"), HasSubstr("did you mean \"link\"?"));
  EXPECT_THAT(error_of("xfail:\n  - cases: a/b\n    lnk: x\n"), HasSubstr("conform.yaml:3:5"));
}

TEST(Expectations, ATagSaysWhy) {
  EXPECT_THAT(error_of("unsupported:\n  - cases: a/b\n"), HasSubstr("a tag needs \"reason\""));
  EXPECT_THAT(error_of("xfail:\n  - cases: a/b\n"), HasSubstr("a tag needs \"link\""));
  EXPECT_THAT(error_of("xfail:\n  - cases: a/b\n    reason: later\n"), HasSubstr("unknown key \"reason\""));
  EXPECT_THAT(error_of("unsupported:\n  - cases: a/b\n    reason: ''\n"), HasSubstr("reason: expected a text"));
  EXPECT_THAT(error_of("unsupported:\n  - reason: why\n"), HasSubstr("a tag needs \"cases\""));
}

TEST(Expectations, WrongShapesAreErrors) {
  EXPECT_THAT(error_of("- tolerance\n"), HasSubstr("expected the keys tolerance, unsupported and xfail"));
  EXPECT_THAT(error_of("xfail: all\n"), HasSubstr("xfail: expected a list"));
  EXPECT_THAT(error_of("xfail: [all]\n"), HasSubstr("expected a tag with the keys cases and link"));
  for (const char* value : {"-1", "256", "much", "[1]", "1.5", ""})
    EXPECT_THAT(error_of(std::string("tolerance: ") + value + "\n"), HasSubstr("from 0 to 255")) << value;
}

TEST(Expectations, AMissingFileIsNamed) {
  const auto found = read_expectations("/nowhere/conform.yaml");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::not_found);
  EXPECT_THAT(found.error().text(), HasSubstr("/nowhere/conform.yaml"));
}

}  // namespace
}  // namespace quoin::conform
