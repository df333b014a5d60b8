#pragma once

#include <gtest/gtest.h>

#include <string>

#include "../fails_with.hpp"
#include "tokenize/tokenizer.hpp"

namespace quoin::generate::test {

// One token per letter: </s> is 0, a is 1 ... z is 26, the space is 27.
inline tokenize::Tokenizer letters() {
  std::string vocabulary;
  for (int i = 0; i < 26; ++i)
    vocabulary += "\"" + std::string(1, static_cast<char>('a' + i)) + "\":" + std::to_string(i + 1) + ",";
  const std::string file =
      R"({"added_tokens":[{"id":0,"content":"</s>","special":true}],"decoder":{"type":"Fuse"},"model":{"type":"BPE","vocab":{)" +
      vocabulary + R"( " ":27},"merges":[]}})";
  const auto made = tokenize::Tokenizer::make({file, ""}, "letters");
  EXPECT_TRUE(made) << (made ? "" : made.error().text());
  return *made;
}

using quoin::test::fails_with;

}  // namespace quoin::generate::test
