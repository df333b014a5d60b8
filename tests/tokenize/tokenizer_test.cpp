#include "tokenize/tokenizer.hpp"

#include <chrono>

#include "support.hpp"
#include "tokenize/text.hpp"

namespace quoin::tokenize::test {
namespace {

TEST(Open, names_what_is_missing) {
  const TempFolder folder;
  EXPECT_TRUE(fails_with(Tokenizer::open(folder.path()), Code::not_found, "no tokenizer in this folder"));
  EXPECT_TRUE(fails_with(Tokenizer::open(folder.path() + "/none.json"), Code::not_found, "none.json"));
}

TEST(Open, takes_a_folder_and_what_stands_beside_the_file) {
  const TempFolder folder;
  folder.write("tokenizer.json", read_bytes(kFixtures / "gpt2.json"));
  const auto plain = Tokenizer::open(folder.path());
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_FALSE(plain->bos());
  EXPECT_TRUE(plain->stop().empty()) << "<|end|> is no well-known name";

  folder.write("tokenizer_config.json",
               R"({"bos_token": {"content": "<|end|>"}, "eos_token": "<|end|>", "add_bos_token": true})");
  folder.write("generation_config.json", R"({"eos_token_id": [5, 0, 1000000]})");
  const auto told = Tokenizer::open(folder.path() + "/tokenizer.json");
  ASSERT_TRUE(told) << told.error().text();
  EXPECT_EQ(told->bos(), 0);
  EXPECT_EQ(told->stop(), (std::vector<int64_t>{0, 5})) << "sorted, once, and only ids that are tokens";
  EXPECT_EQ(told->encode("a", true)->front(), 0);
  EXPECT_NE(told->encode("a", false)->front(), 0);
}

TEST(Open, a_damaged_file_beside_is_an_error) {
  const TempFolder folder;
  folder.write("tokenizer.json", read_bytes(kFixtures / "gpt2.json"));
  folder.write("tokenizer_config.json", "{");
  EXPECT_TRUE(fails_with(Tokenizer::open(folder.path()), Code::model, "tokenizer_config.json"));
  folder.write("tokenizer_config.json", "{}");
  folder.write("config.json", R"({"eos_token_id": "two"})");
  EXPECT_TRUE(fails_with(Tokenizer::open(folder.path()), Code::model, "eos_token_id"));
}

TEST(Files, make_the_tokenizer_that_open_makes) {
  const TempFolder folder;
  folder.write("tokenizer.json", read_bytes(kFixtures / "gpt2.json"));
  folder.write("tokenizer_config.json", R"({"eos_token": "<|end|>", "bos_token": null})");
  const auto files = Tokenizer::read(folder.path());
  ASSERT_TRUE(files) << files.error().text();
  const auto made = Tokenizer::make(*files, "a program");
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->stop(), std::vector<int64_t>{0});
  EXPECT_EQ(*made->encode("The keeper", true), *fixture("gpt2.json").encode("The keeper", true));
}

TEST(Encode, refuses_what_is_not_utf8) {
  for (const char* name : {"gpt2.json", "bpe.model"}) {
    EXPECT_TRUE(fails_with(fixture(name).encode("ab\xff", false), Code::input, "not UTF-8 at byte 2"));
    EXPECT_TRUE(fails_with(fixture(name).encode("\xed\xa0\x80", false), Code::input, "at byte 0")) << "a surrogate";
  }
}

TEST(Decode, refuses_ids_that_are_no_token) {
  for (const char* name : {"gpt2.json", "bpe.model"}) {
    const Tokenizer tokenizer = fixture(name);
    for (const int64_t id : {int64_t{-1}, tokenizer.size(), INT64_MAX}) {
      EXPECT_TRUE(fails_with(tokenizer.decode(std::vector{id}), Code::input, "is no token"));
      EXPECT_TRUE(fails_with(Stream(tokenizer).push(id), Code::input, "is no token"));
    }
  }
}

TEST(Decode, bytes_that_form_no_character_are_replaced) {
  const Tokenizer tokenizer = fixture("bpe.model");
  const int64_t begun = *tokenizer.id("<0xF0>"), next = *tokenizer.id("<0x9F>"), letter = *tokenizer.id("e");
  EXPECT_EQ(*tokenizer.decode(std::vector{letter, begun, next, letter}), "e\ufffd\ufffde");
  const Tokenizer byte_level = fixture("gpt2.json");
  const int64_t lead = *byte_level.id("\u00f0"), letter_a = *byte_level.id("a");
  EXPECT_EQ(*byte_level.decode(std::vector{letter_a, lead, letter_a}), "a\ufffda");
}

TEST(Stream, holds_a_character_until_it_is_complete) {
  const Tokenizer tokenizer = fixture("bpe.model");
  Stream stream(tokenizer);
  EXPECT_EQ(*stream.push(*tokenizer.id("<0xF0>")), "");
  EXPECT_EQ(*stream.push(*tokenizer.id("<0x9F>")), "");
  EXPECT_EQ(*stream.push(*tokenizer.id("<0x98>")), "");
  EXPECT_EQ(*stream.push(*tokenizer.id("<0x80>")), "😀");
  EXPECT_EQ(*stream.push(*tokenizer.id("<0xF0>")), "");
  EXPECT_EQ(stream.finish(), "\ufffd");
}

TEST(Text, knows_what_may_become_a_character) {
  EXPECT_EQ(unfinished("a\xf0\x9f\x98"), 3u);
  EXPECT_EQ(unfinished("a\xe2\x96"), 2u);
  EXPECT_EQ(unfinished("a\xc3"), 1u);
  EXPECT_EQ(unfinished("a\xc3\xa9"), 0u);
  EXPECT_EQ(unfinished("a\xed\xa0"), 0u) << "a surrogate never becomes one";
  EXPECT_EQ(unfinished("\x80\x80"), 0u);
  EXPECT_EQ(unfinished(""), 0u);
  EXPECT_EQ(replace_bad_runs("\xf0\x9f\x98x\xe2\x96"), "\ufffdx\ufffd");
  EXPECT_EQ(replace_bad_bytes("\xf0\x9f\x98x"), "\ufffd\ufffd\ufffdx");
}

// Quadratic work would take minutes.
TEST(Encode, a_long_text_takes_time_in_proportion) {
  std::string text;
  while (text.size() < 1'000'000) text += "The keeper counts 12 ships; isn't it late? \t\n café 漢字 😀 ";
  for (const char* name : {"gpt2.json", "llama2.json", "bpe.model", "unigram.model"}) {
    const Tokenizer tokenizer = fixture(name);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(tokenizer.encode(text, true));
    const auto spaces = tokenizer.encode(std::string(1'000'000, ' '), true);
    EXPECT_TRUE(spaces) << (spaces ? "" : spaces.error().text());
    EXPECT_TRUE(tokenizer.encode(std::string(1'000'000, 'e'), true));
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 60) << name;
  }
}

}  // namespace
}  // namespace quoin::tokenize::test
