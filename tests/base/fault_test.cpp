// Errors without heap memory: the parts that they have, and what happens when there is no room for them.
#include "base/fault.hpp"

#include <gtest/gtest.h>

namespace quoin {
namespace {

std::string text_of(const Fault& fault, size_t room = 10000) {
  std::string out(room, '#');
  out.resize(fault.text(out.data(), room));
  return out;
}

TEST(Fault, SaysWhereWhatAndWhatToDo) {
  Fault fault;
  EXPECT_FALSE(fault.fail(Code::program, "{} values, at most {}", 7, "3"));
  EXPECT_EQ(text_of(fault), "7 values, at most 3");
  EXPECT_FALSE(fault.hint("write fewer"));
  EXPECT_FALSE(fault.at("node {} ({})", 4, "fc"));
  EXPECT_FALSE(fault.at("a.quoin"));
  EXPECT_EQ(text_of(fault), "a.quoin: node 4 (fc): 7 values, at most 3; write fewer");
  EXPECT_EQ(fault.code(), Code::program);
  EXPECT_EQ(fault.where(), "a.quoin: node 4 (fc)");
  EXPECT_EQ(fault.what(), "7 values, at most 3");
  EXPECT_EQ(fault.hint(), "write fewer");
}

TEST(Fault, TheLastOneCounts) {
  Fault fault;
  fault.fail(Code::limit, "a long text that is gone");
  fault.at("place");
  fault.hint("hint");
  fault.fail(Code::io, "short");
  EXPECT_EQ(text_of(fault), "short");
  EXPECT_EQ(fault.code(), Code::io);
  fault.set_code(Code::data);
  EXPECT_EQ(fault.code(), Code::data);
}

TEST(Fault, IsAnErrorAndBack) {
  const Error error{Code::model, "no such op", "m.pt2: node a", "use b"};
  Fault fault;
  EXPECT_FALSE(fault.take(error));
  EXPECT_EQ(text_of(fault), error.text());
  const Failure back = fault.failure();
  EXPECT_EQ(back->code, error.code);
  EXPECT_EQ(back->what, error.what);
  EXPECT_EQ(back->where, error.where);
  EXPECT_EQ(back->hint, error.hint);
  fault.take({Code::io, "what", "", ""});
  EXPECT_EQ(text_of(fault), "what") << "nothing stays of the one before";
}

TEST(Fault, LongTextsLeaveRoomForPlaces) {
  Fault fault;
  fault.fail(Code::program, "{}", std::string(100000, 'x'));
  const size_t cut = fault.what().size();
  EXPECT_LT(cut, 100000u);
  EXPECT_GT(cut, 100u);
  EXPECT_EQ(fault.what(), std::string(cut, 'x'));
  fault.hint("what to do");
  fault.at("node {}", 1);
  EXPECT_EQ(text_of(fault), "node 1: " + std::string(cut, 'x') + "; what to do");
}

TEST(Fault, WhatIsFullTakesNoMore) {
  Fault fault;
  fault.fail(Code::program, "what");
  for (int i = 0; i < 1000; ++i) fault.at("{:0>100}", i);
  const std::string text = text_of(fault);
  EXPECT_LT(text.size(), 10000u);
  EXPECT_TRUE(text.ends_with(": what")) << "what is wrong stays, and the innermost places do";
  EXPECT_NE(text.find(fmt::format("{:0>100}: {:0>100}: what", 1, 0)), std::string::npos);
}

TEST(Fault, CutsBetweenCharacters) {
  Fault fault;
  std::string word;
  for (int i = 0; i < 10000; ++i) word += "\u20ac";  // three bytes each
  fault.fail(Code::program, "{}", word);
  EXPECT_EQ(fault.what().size() % 3, 0u);
  EXPECT_EQ(fault.what(), std::string_view(word).substr(0, fault.what().size()));
  fault.fail(Code::program, "a\u20ac");
  EXPECT_EQ(text_of(fault, 4), "a\u20ac");
  for (const size_t room : {1, 2, 3}) EXPECT_EQ(text_of(fault, room), "a") << room;
  EXPECT_EQ(text_of(fault, 0), "");
}

}  // namespace
}  // namespace quoin
