#include "conform/event.hpp"

#include <gtest/gtest.h>

namespace quoin::conform {
namespace {

TEST(Event, TravelsAsOneLine) {
  const std::string line = write_event({Event::end, 7, "a/b", failed("expected\n\"1\"")});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto event = read_event(line);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Event::end);
  EXPECT_EQ(event->number, 7u);
  EXPECT_EQ(event->name, "a/b");
  EXPECT_EQ(event->verdict.kind, Verdict::fail);
  EXPECT_EQ(event->verdict.detail, "expected\n\"1\"");
}

TEST(Event, KeepsDetailsShortAndPrintable) {
  const auto event = read_event(write_event({Event::end, 0, "x", failed("\xff" + std::string(100000, 'y'))}));
  ASSERT_TRUE(event);
  EXPECT_LT(event->verdict.detail.size(), 5000u);
  EXPECT_EQ(event->verdict.detail.find('\xff'), std::string::npos);
}

TEST(Event, IgnoresWhatIsNoEvent) {
  for (const char* line : {"", "hello", "{}", "[1]", R"({"event":"begin"})",
                           R"({"event":"end","number":-1,"name":"","verdict":"pass","detail":""})",
                           R"({"event":"end","number":1,"name":"","verdict":"maybe","detail":""})"})
    EXPECT_FALSE(read_event(line)) << line;
}

}  // namespace
}  // namespace quoin::conform
