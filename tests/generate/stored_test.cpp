#include "generate/stored_tokenizer.hpp"
#include "support.hpp"

namespace quoin::generate::test {
namespace {

TEST(StoredTokenizer, comes_back_as_it_was) {
  const std::string file =
      R"({"model":{"type":"BPE","vocab":{"a":0,"<e>":1},"merges":[]}})" + std::string(20u << 20, ' ');
  Metadata metadata;
  store_tokenizer({file, R"({"eos_token_id":[1]})"}, metadata);
  EXPECT_EQ(metadata.size(), 4u) << "three parts and the settings";
  const auto tokenizer = find_tokenizer("", metadata, "x.quoin");
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ(tokenizer->stop(), std::vector<int64_t>{1});
}

TEST(StoredTokenizer, a_path_goes_first_and_neither_is_an_error) {
  EXPECT_TRUE(fails_with(find_tokenizer("", {}, "x.quoin"), Code::usage, "x.quoin: the program holds no tokenizer"));
  Metadata metadata;
  store_tokenizer({"{}", ""}, metadata);
  EXPECT_TRUE(fails_with(find_tokenizer("/none", metadata, "x.quoin"), Code::not_found, "/none"));
  EXPECT_TRUE(fails_with(find_tokenizer("", metadata, "x.quoin"), Code::unsupported, "x.quoin: its tokenizer"));
}

}  // namespace
}  // namespace quoin::generate::test
