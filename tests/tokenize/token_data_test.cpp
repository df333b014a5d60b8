#include "tokenize/token_data.hpp"

#include "data/files.hpp"
#include "support.hpp"

namespace quoin::tokenize::test {
namespace {

class TokenFiles : public ::testing::Test {
 protected:
  // Ids 0 .. 5 as two rows of three, beside a tensor of floats.
  std::string write(const std::string& name, DType dtype = DType::s64) {
    Tensor ids(dtype, {2, 3});
    for (size_t i = 0; i < 6; ++i)
      if (dtype == DType::s64)
        ids.as<int64_t>()[i] = static_cast<int64_t>(i);
      else
        ids.as<int32_t>()[i] = static_cast<int32_t>(i);
    const std::string path = folder_.path() + "/" + name;
    const Status written = name.ends_with(".npy")
                               ? data::write_npy(path, ids)
                               : data::write_safetensors(path, {{"ids", ids}, {"logits", Tensor(DType::f32, {4})}});
    EXPECT_TRUE(written);
    return path;
  }
  TempFolder folder_;
};

TEST_F(TokenFiles, rows_come_from_either_format_and_width) {
  const std::vector<std::vector<int64_t>> expected = {{0, 1, 2}, {3, 4, 5}};
  for (const char* name : {"ids.safetensors", "ids.npy"})
    for (const DType dtype : {DType::s64, DType::s32}) {
      const auto data = load_tokens({write(name, dtype), "", 0, 0}, nullptr, 6);
      ASSERT_TRUE(data) << data.error().text();
      EXPECT_EQ(data->rows, expected);
      EXPECT_NE(data->describe.find("2 rows, 6 tokens"), std::string::npos) << data->describe;
    }
}

TEST_F(TokenFiles, a_range_of_rows) {
  const auto data = load_tokens({write("ids.npy"), "", 1, 1}, nullptr, 0);
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_EQ(data->rows, (std::vector<std::vector<int64_t>>{{3, 4, 5}}));
  EXPECT_TRUE(fails_with(load_tokens({write("ids.npy"), "", 2, 0}, nullptr, 0), Code::usage, "there are 2"));
  EXPECT_TRUE(fails_with(load_tokens({write("ids.npy"), "", 1, 2}, nullptr, 0), Code::usage, "rows 1 to 3"));
}

TEST_F(TokenFiles, tensors_are_named) {
  const std::string path = write("ids.safetensors");
  EXPECT_TRUE(load_tokens({path, "ids", 0, 0}, nullptr, 0));
  EXPECT_TRUE(fails_with(load_tokens({path, "none", 0, 0}, nullptr, 0), Code::data, "ids s64[2, 3]"));
  EXPECT_TRUE(fails_with(load_tokens({path, "logits", 0, 0}, nullptr, 0), Code::data, "found f32[4]"));
  Tensor more(DType::s64, {1});
  ASSERT_TRUE(data::write_safetensors(path, {{"a", more}, {"b", more}}));
  EXPECT_TRUE(fails_with(load_tokens({path, "", 0, 0}, nullptr, 0), Code::data, "several tensors"));
}

TEST_F(TokenFiles, ids_outside_the_vocabulary_are_named) {
  EXPECT_TRUE(fails_with(load_tokens({write("ids.npy"), "", 0, 0}, nullptr, 5), Code::data, "token 2 of row 1 is 5"));
  Tensor negative(DType::s64, {2});
  negative.as<int64_t>()[1] = -7;
  const std::string path = folder_.path() + "/negative.npy";
  ASSERT_TRUE(data::write_npy(path, negative));
  EXPECT_TRUE(fails_with(load_tokens({path, "", 0, 0}, nullptr, 0), Code::data, "is -7"));
}

TEST_F(TokenFiles, texts_need_a_tokenizer) {
  const std::string path = folder_.write("story.txt", "The keeper counts ships.\n");
  EXPECT_TRUE(fails_with(load_tokens({path, "", 0, 0}, nullptr, 0), Code::usage, "needs a tokenizer"));
  const Tokenizer tokenizer = fixture("llama3.json");
  const auto data = load_tokens({path, "", 0, 0}, &tokenizer, tokenizer.size());
  ASSERT_TRUE(data) << data.error().text();
  ASSERT_EQ(data->rows.size(), 1u);
  EXPECT_EQ(data->rows[0], *tokenizer.encode("The keeper counts ships.\n", true));
  EXPECT_TRUE(fails_with(load_tokens({path, "", 0, 0}, &tokenizer, 10), Code::data, "tokenizer is that of another"));
  EXPECT_TRUE(fails_with(load_tokens({path, "", 1, 0}, &tokenizer, 0), Code::usage, "one row"));
}

TEST_F(TokenFiles, bad_texts) {
  const Tokenizer tokenizer = fixture("gpt2.json");
  const auto load = [&](const std::string& path) { return load_tokens({path, "", 0, 0}, &tokenizer, 0); };
  EXPECT_TRUE(fails_with(load(folder_.path() + "/none.txt"), Code::not_found, "none.txt"));
  EXPECT_TRUE(fails_with(load(folder_.write("empty.txt", "")), Code::data, "no tokens"));
  EXPECT_TRUE(fails_with(load(folder_.write("bad.txt", "a\xff")), Code::input, "bad.txt"));
}

}  // namespace
}  // namespace quoin::tokenize::test
