#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/checked.hpp"
#include "base/diagnostics.hpp"
#include "base/file.hpp"
#include "base/text.hpp"

namespace quoin {
namespace {

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "quoin_base_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }
  std::string path_;
};

TEST(Text, NearestFindsTheTypo) {
  const std::vector<std::string> keys = {"quantizers", "calibrate", "observer"};
  EXPECT_EQ(nearest("calibrte", keys), "calibrate");
  EXPECT_EQ(nearest("xyz", keys), "");
  EXPECT_EQ(did_you_mean("obsrver", keys), "did you mean \"observer\"?");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a..b", '.'), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", '.'), std::vector<std::string>{""});
}

TEST(Checked, OverflowHasNoValue) {
  EXPECT_EQ(checked_mul<int64_t>(int64_t{1} << 40, int64_t{1} << 40), std::nullopt);
  EXPECT_EQ(checked_add<uint8_t>(250, 5), uint8_t{255});
  EXPECT_EQ(checked_add<uint8_t>(250, 6), std::nullopt);
  EXPECT_EQ(align_up<uint64_t>(65, 64), 128u);
}

TEST(Error, TextNamesWhereWhatAndHint) {
  const Error inner{Code::model, "no such op", "node a", "use b"};
  EXPECT_EQ(in("m.pt2", inner)->text(), "m.pt2: node a: no such op; use b");
}

TEST(Error, FailuresAreBuiltInOneLine) {
  const Status status = fail(Code::model, "{} values", 3).at("node {}", "a").at("m.pt2").hint("use b").as(Code::limit);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().text(), "m.pt2: node a: 3 values; use b");
  EXPECT_EQ(status.error().code, Code::limit);
}

TEST(Error, CheckPassesTheErrorUp) {
  const auto inner = []() -> Status { return fail(Code::data, "empty {}", "set"); };
  const auto outer = [&]() -> Result<int> {
    QUOIN_CHECK(inner());
    return 1;
  };
  ASSERT_FALSE(outer());
  EXPECT_EQ(outer().error().code, Code::data);
  EXPECT_EQ(outer().error().what, "empty set");
}

TEST(Error, CheckAtPutsThePlaceInFront) {
  const auto inner = []() -> Status { return fail(Code::data, "empty").at("line 3"); };
  const auto outer = [&](int i) -> Status {
    QUOIN_CHECK_AT(inner(), "file {}", i);
    return {};
  };
  EXPECT_EQ(outer(7).error().text(), "file 7: line 3: empty");
}

// A value that counts how many of its kind there are.
struct Counted {
  explicit Counted(int* count) : count_(count) { ++*count_; }
  Counted(const Counted& other) : count_(other.count_) { ++*count_; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --*count_; }
  int* count_;
};

TEST(Result, HoldsAValueOrAnErrorAndDestroysEither) {
  int count = 0;
  {
    const auto make = [&](bool good) -> Result<Counted> {
      if (!good) return fail(Code::data, "no");
      return Counted(&count);
    };
    Result<Counted> value = make(true), error = make(false);
    EXPECT_EQ(count, 1);
    Result<Counted> copy = value, bad = error;
    EXPECT_EQ(count, 2);
    EXPECT_EQ(bad.error().what, "no");
    EXPECT_EQ(error.error().what, "no") << "a copy has an error of its own";
    bad = std::move(error);
    EXPECT_EQ(bad.error().what, "no");
  }
  EXPECT_EQ(count, 0);
}

TEST(Result, ConvertsItsValueAndKeepsItsError) {
  Result<std::optional<std::string>> wider = Result<std::string>("a");
  EXPECT_EQ(*wider.value(), "a");
  wider = Result<std::string>(fail(Code::io, "gone"));
  EXPECT_EQ(wider.error().what, "gone");
}

TEST(Result, AnEmptyOptionalIsAValue) {
  const Result<std::optional<int>> none = std::nullopt;
  ASSERT_TRUE(none);
  EXPECT_FALSE(none.value());
}

TEST(Result, MapAndThenRunOnValuesOnly) {
  const auto half = [](int x) -> Result<int> { return x % 2 == 0 ? Result<int>(x / 2) : fail(Code::data, "odd"); };
  EXPECT_EQ(half(8).and_then(half).map([](int x) { return x + 1; }).value(), 3);
  EXPECT_EQ(half(6).and_then(half).map([](int) -> int { throw std::runtime_error("not called"); }).error().what, "odd");
  EXPECT_EQ(half(3).value_or(7), 7);
  EXPECT_THROW(half(3).value(), std::bad_optional_access);
}

TEST(Diagnostics, StrictMakesWarningsAnError) {
  Diagnostics notes;
  notes.info("a", "fine");
  EXPECT_TRUE(notes.strict());
  notes.warn("node b", "left in float");
  ASSERT_FALSE(notes.strict());
  EXPECT_EQ(notes.strict().error().code, Code::strict);
  EXPECT_NE(notes.strict().error().what.find("node b: left in float"), std::string::npos);
}

TEST_F(Folder, MissingFileIsNotFound) {
  const auto mapped = MappedFile::open(file("none"));
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Code::not_found);
  EXPECT_EQ(mapped.error().where, file("none"));
}

TEST_F(Folder, AFolderIsNotAFile) {
  const auto mapped = MappedFile::open(path_);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Code::io);
}

TEST_F(Folder, ReadTextRefusesMoreThanTheLimit) {
  std::ofstream(file("big")) << std::string(100, 'x');
  EXPECT_EQ(read_text(file("big"), 100)->size(), 100u);
  ASSERT_FALSE(read_text(file("big"), 99));
  EXPECT_EQ(read_text(file("big"), 99).error().code, Code::limit);
}

TEST_F(Folder, CommitReplacesTheOldContentAtOnce) {
  ASSERT_TRUE(write_file(file("out"), as_bytes("old")));
  auto atomic = AtomicFile::create(file("out"));
  ASSERT_TRUE(atomic);
  ASSERT_TRUE(atomic->write(as_bytes("new")));
  EXPECT_EQ(*read_text(file("out")), "old");
  ASSERT_TRUE(atomic->commit());
  EXPECT_EQ(*read_text(file("out")), "new");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Folder, WithoutCommitNothingRemains) {
  {
    auto atomic = AtomicFile::create(file("out"));
    ASSERT_TRUE(atomic);
    ASSERT_TRUE(atomic->write(as_bytes("half")));
  }
  EXPECT_EQ(entries(), 0u);
}

TEST_F(Folder, WritingReplacesNothingButFiles) {
  std::filesystem::create_directory(file("folder"));
  ASSERT_EQ(::mkfifo(file("pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink(file("pipe"), file("link"));
  for (const char* name : {"folder", "pipe", "link"}) {
    const Status status = write_file(file(name), as_bytes("x"));
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, Code::io);
    EXPECT_EQ(status.error().where, file(name));
  }
  EXPECT_TRUE(std::filesystem::is_fifo(file("pipe")));
  EXPECT_TRUE(std::filesystem::is_symlink(file("link")));
}

TEST_F(Folder, WritingWithoutANameIsRefused) {
  const Status status = write_file("", as_bytes("x"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::not_found);
}

TEST_F(Folder, WritingIntoAMissingFolderNamesThePath) {
  const Status status = write_file(file("no/such/out"), as_bytes("x"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::not_found);
  EXPECT_EQ(status.error().where, file("no/such/out"));
}

}  // namespace
}  // namespace quoin
