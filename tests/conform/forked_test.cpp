// Trials in copies of the process: crashes, hangs and words of the trial come back, everything else goes on.
#include "conform/forked.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <vector>

namespace quoin::conform {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(RunTrials, NothingWrongIsNothing) {
  EXPECT_THAT(run_trials(100, {}, [](size_t) { return std::string(); }), IsEmpty());
  EXPECT_THAT(run_trials(0, {}, [](size_t) { return std::string("never asked"); }), IsEmpty());
}

TEST(RunTrials, GoOnBehindTheTrialAtFault) {
  const auto faults = run_trials(10, {}, [](size_t i) {
    if (i == 3) std::raise(SIGKILL);
    if (i == 5) _exit(9);
    return i == 7 ? std::string("seven") : std::string();
  });
  ASSERT_THAT(faults, SizeIs(3));
  EXPECT_EQ(faults[0].trial, 3u);
  EXPECT_THAT(faults[0].what, HasSubstr("killed by signal 9"));
  EXPECT_EQ(faults[1].trial, 5u);
  EXPECT_EQ(faults[1].what, "ends the process with status 9");
  EXPECT_EQ(faults[2].trial, 7u);
  EXPECT_EQ(faults[2].what, "seven");
}

TEST(RunTrials, StopAfterAFewFaults) {
  TrialLimits limits;
  limits.faults = 2;
  EXPECT_THAT(run_trials(100, limits, [](size_t) { return std::string("wrong"); }), SizeIs(2));
}

TEST(RunTrials, EndTrialsThatHang) {
  const auto faults = run_trials(2, {std::chrono::milliseconds(50), 0, 3}, [](size_t i) {
    while (i == 0) pause();
    return std::string();
  });
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_EQ(faults[0].what, "does not come back within 50 ms");
}

TEST(RunTrials, ExceptionsAreFaults) {
  EXPECT_EQ(run_apart([]() -> std::string { throw std::runtime_error("escaped"); }), "an exception escaped: escaped");
}

TEST(RunTrials, ChangeNothingHere) {
  int count = 0;
  EXPECT_EQ(run_apart([&] { return ++count == 1 ? std::string() : std::string("not one"); }), "");
  EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace quoin::conform
