// The sentencepiece library is the reference for its models; nothing in this executable links protobuf (decision 13).
#include <sentencepiece_processor.h>

#include <random>

#include "base/utf8.hpp"
#include "support.hpp"

namespace quoin::tokenize::test {
namespace {

using sentencepiece::SentencePieceProcessor;

class Library : public ::testing::TestWithParam<std::string> {
 protected:
  Library() : tokenizer_(fixture(GetParam())) { EXPECT_TRUE(library_.Load((kFixtures / GetParam()).string()).ok()); }
  Tokenizer tokenizer_;
  SentencePieceProcessor library_;
};

// Characters that the pieces were made from, whitespace, and some that they were not.
std::string random_text(std::mt19937_64& random) {
  static const std::vector<std::string> parts = [] {
    std::vector<std::string> out = {" ",      "  ",     "\t",     "\n", "<pad>", "gulls", "\u2581", "e\u0301", "\ufb01",
                                    "\u2460", "\u3000", "\uff21", "😀",  "ß",     "漢",    "\u200b", "<0x41>",  "<s>"};
    for (char c = 'a'; c <= 'z'; ++c) out.emplace_back(1, c);
    for (const char* word : {"the ", "light", "keeper", " and", "ship", "12", "345", ".", ", ", "It", "'s"})
      out.emplace_back(word);
    return out;
  }();
  std::string out;
  const size_t count = random() % 60;
  for (size_t i = 0; i < count; ++i) out += parts[random() % parts.size()];
  return out;
}

TEST_P(Library, random_texts_have_the_same_ids) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = random_text(random);
    std::vector<int> expected;
    ASSERT_TRUE(library_.Encode(text, &expected).ok());
    const auto ids = tokenizer_.encode(text, false);
    ASSERT_TRUE(ids) << ids.error().text();
    ASSERT_EQ(*ids, std::vector<int64_t>(expected.begin(), expected.end())) << text;
  }
}

TEST_P(Library, random_ids_have_the_same_text) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::vector<int> ids(random() % 40);
    for (int& id : ids) id = static_cast<int>(random() % static_cast<uint64_t>(tokenizer_.size()));
    std::string expected;
    ASSERT_TRUE(library_.Decode(ids, &expected).ok());
    const std::vector<int64_t> wide(ids.begin(), ids.end());
    ASSERT_EQ(*tokenizer_.decode(wide), expected);
    if (expected.find("\ufffd") == std::string::npos) {
      ASSERT_EQ(streamed(tokenizer_, wide), expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Library, ::testing::Values("bpe.model", "bpe_rules.model", "unigram.model"),
                         file_as_name<std::string>);

}  // namespace
}  // namespace quoin::tokenize::test
