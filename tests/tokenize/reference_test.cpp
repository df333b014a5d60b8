// Ids and texts equal those of the reference packages, which make_fixtures.py asked.
#include "support.hpp"

namespace quoin::tokenize::test {
namespace {

const Json& expected() {
  static const Json content = Json::parse(read_bytes(kFixtures / "expected.json"));
  return content;
}

class Reference : public ::testing::TestWithParam<std::string> {};

TEST_P(Reference, ids_are_equal) {
  const Tokenizer tokenizer = fixture(GetParam());
  for (const Json& item : expected().at(GetParam())) {
    const auto ids = tokenizer.encode(item.at("text").get<std::string>(), true);
    ASSERT_TRUE(ids) << ids.error().text();
    EXPECT_EQ(*ids, item.at("ids").get<std::vector<int64_t>>()) << item.at("text");
  }
}

TEST_P(Reference, texts_are_equal) {
  const Tokenizer tokenizer = fixture(GetParam());
  for (const Json& item : expected().at(GetParam())) {
    const auto ids = item.at("ids").get<std::vector<int64_t>>();
    const auto text = tokenizer.decode(ids);
    ASSERT_TRUE(text) << text.error().text();
    EXPECT_EQ(*text, item.at("decoded").get<std::string>());
  }
}

TEST_P(Reference, a_stream_gives_the_same_text) {
  const Tokenizer tokenizer = fixture(GetParam());
  for (const Json& item : expected().at(GetParam())) {
    const auto ids = item.at("ids").get<std::vector<int64_t>>();
    EXPECT_EQ(streamed(tokenizer, ids), item.at("decoded").get<std::string>());
  }
}

TEST_P(Reference, a_long_text_is_the_same_in_one_and_in_a_stream) {
  const Tokenizer tokenizer = fixture(GetParam());
  std::string all;
  for (const Json& item : expected().at(GetParam())) all += item.at("text").get<std::string>() + "\n";
  const auto ids = tokenizer.encode(all, true);
  ASSERT_TRUE(ids) << ids.error().text();
  EXPECT_EQ(streamed(tokenizer, *ids), *tokenizer.decode(*ids));
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& [name, cases] : expected().items()) out.push_back(name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Reference, ::testing::ValuesIn(names()), file_as_name<std::string>);

TEST(Stories, prompt_and_text_are_those_of_the_model) {
  const fs::path folder = shared_folder() / "models/stories260k";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is missing";
  const auto tokenizer = Tokenizer::open(folder.string());
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ(tokenizer->kind(), "sentencepiece");
  EXPECT_EQ(tokenizer->size(), 512);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->stop(), std::vector<int64_t>{2});
  const std::string text = Json::parse(read_bytes(folder / "reference.json")).at("greedy_text");
  const auto ids = tokenizer->encode(text, true);
  ASSERT_TRUE(ids) << ids.error().text();
  EXPECT_EQ(ids->front(), 1);
  EXPECT_EQ(*tokenizer->decode(*ids), text);
  EXPECT_EQ(streamed(*tokenizer, *ids), text);
}

}  // namespace
}  // namespace quoin::tokenize::test
