#include "host/child.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

namespace quoin::host {
namespace {

using ::testing::HasSubstr;

using Clock = Child::Clock;

Clock::time_point soon() { return Clock::now() + std::chrono::seconds(10); }

Child must_start(const std::string& script, std::vector<int> lent = {}, int output = -1) {
  auto child = Child::start({"/bin/sh", {"-c", script}, std::move(lent), output});
  if (!child) throw std::runtime_error(child.error().text());
  return *std::move(child);
}

std::string report_of(Child& child) {
  std::string report;
  while (child.listen(report, soon()) == Child::Heard::bytes) {
  }
  return report;
}

// Gone, or a zombie that nobody reaps here.
bool runs(pid_t id) {
  std::ifstream file("/proc/" + std::to_string(id) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(file >> number >> name >> state) && state != "Z";
}

TEST(Child, ReportsOnItsPipe) {
  Child child = must_start("echo hello >&3; exit 7");
  EXPECT_EQ(report_of(child), "hello\n");
  const auto status = child.finish(soon());
  ASSERT_TRUE(status);
  EXPECT_EQ(ending(*status), "code 7");
}

TEST(Child, NamesTheSignalThatEndedIt) {
  Child child = must_start("kill -SEGV $$");
  const auto status = child.finish(soon());
  ASSERT_TRUE(status);
  EXPECT_THAT(ending(*status), HasSubstr("signal 11"));
}

TEST(Child, IsKilledAtTheDeadline) {
  Child child = must_start("exec sleep 100");
  std::string report;
  EXPECT_EQ(child.listen(report, Clock::now() + std::chrono::milliseconds(50)), Child::Heard::nothing);
  const auto begin = Clock::now();
  EXPECT_FALSE(child.finish(Clock::now() + std::chrono::milliseconds(50)));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
}

TEST(Child, TakesWhatItStartedWithIt) {
  Child child = must_start("sleep 100 & echo $! >&3");
  std::string report;
  ASSERT_EQ(child.listen(report, soon()), Child::Heard::bytes);
  const pid_t grandchild = std::stoi(report);
  EXPECT_TRUE(child.finish(soon()));
  for (int i = 0; i < 1000 && runs(grandchild); ++i) usleep(1000);
  EXPECT_FALSE(runs(grandchild));
}

TEST(Child, GetsTheLentDescriptorsInOrder) {
  const int first = memfd_create("first", 0), second = memfd_create("second", 0);
  ASSERT_EQ(write(first, "1", 1), 1);
  ASSERT_EQ(write(second, "2", 1), 1);
  lseek(first, 0, SEEK_SET), lseek(second, 0, SEEK_SET);
  Child child = must_start("cat <&4 >&3; cat <&5 >&3", {first, second});
  EXPECT_THAT(report_of(child), testing::StrEq("12"));
  close(first), close(second);
}

TEST(Child, PrintsToTheGivenDescriptorOrNowhere) {
  const int file = memfd_create("printed", 0);
  Child child = must_start("echo out; echo err >&2", {}, file);
  EXPECT_TRUE(child.finish(soon()));
  char text[16] = {};
  EXPECT_EQ(pread(file, text, sizeof text, 0), 8);
  EXPECT_STREQ(text, "out\nerr\n");
  close(file);
}

TEST(Child, SaysThatAProgramCannotBeStarted) {
  const auto child = Child::start({"/nowhere/program", {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Code::io);
  EXPECT_THAT(child.error().text(), HasSubstr("/nowhere/program cannot be started"));
}

}  // namespace
}  // namespace quoin::host
