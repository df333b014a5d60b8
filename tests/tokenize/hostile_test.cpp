// Files of tokenizers are not trusted: damage is an error that names the place, never a crash.
#include <random>

#include "support.hpp"

namespace quoin::tokenize::test {
namespace {

Result<Tokenizer> make(const std::string& model) { return Tokenizer::make({model, ""}, "file"); }

// A tokenizer.json with tokens a, b, ab and what the test changes.
Json small() {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", nullptr},
          {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
}

Result<Tokenizer> with(const std::string& pointer, const Json& value) {
  Json file = small();
  file[Json::json_pointer(pointer)] = value;
  return make(file.dump());
}

TEST(HostileJson, the_small_tokenizer_works) {
  const auto tokenizer = make(small().dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ(*tokenizer->encode("abba", false), (std::vector<int64_t>{2, 1, 0}));
}

TEST(HostileJson, syntax_and_nesting) {
  EXPECT_TRUE(fails_with(make("{"), Code::model, "not readable JSON"));
  EXPECT_TRUE(fails_with(make("{\"a\": 1, \"a\": 2}"), Code::model, "occurs twice"));
  std::string deep = "{\"model\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_TRUE(fails_with(make(deep), Code::model, "nested deeper"));
}

TEST(HostileJson, ids_and_tokens) {
  EXPECT_TRUE(fails_with(with("/model/vocab/a", -1), Code::model, "id -1"));
  EXPECT_TRUE(fails_with(with("/model/vocab/a", int64_t{1} << 40), Code::model, "vocab.\"a\""));
  EXPECT_TRUE(fails_with(with("/model/vocab/a", 1), Code::model, "is also that of"));
  EXPECT_TRUE(fails_with(with("/model/vocab/a", "x"), Code::model, "expected a whole number"));
  EXPECT_TRUE(fails_with(with("/model/vocab/a", 1.5), Code::model, "expected a whole number"));
  EXPECT_TRUE(fails_with(with("/model/vocab", {1, 2}), Code::model, "expected an object"));
}

TEST(HostileJson, merges) {
  EXPECT_TRUE(fails_with(with("/model/merges", {"a c"}), Code::model, "\"c\" is not in the vocabulary"));
  EXPECT_TRUE(fails_with(with("/model/merges", {"b a"}), Code::model, "\"ba\" is not in the vocabulary"));
  EXPECT_TRUE(fails_with(with("/model/merges", {"ab"}), Code::model, "is not two tokens"));
  EXPECT_TRUE(fails_with(with("/model/merges", {"a b c"}), Code::model, "is not two tokens"));
  EXPECT_TRUE(fails_with(with("/model/merges", Json::array({Json::array({"a"})})), Code::model, "merges[0]"));
  EXPECT_TRUE(fails_with(with("/model/merges", {3}), Code::model, "expected two tokens"));
}

TEST(HostileJson, added_tokens) {
  const auto token = [](const char* content, int64_t id) {
    return Json::array({{{"content", content}, {"id", id}, {"special", true}}});
  };
  EXPECT_TRUE(fails_with(with("/added_tokens", token("", 3)), Code::model, "without text"));
  EXPECT_TRUE(fails_with(with("/added_tokens", token("<s>", -3)), Code::model, "id -3"));
  EXPECT_TRUE(fails_with(with("/added_tokens", token("<s>", 1)), Code::model, "gives to \"b\""));
  EXPECT_TRUE(fails_with(with("/added_tokens", token("a", 5)), Code::model, "has id 5"));
  EXPECT_TRUE(with("/added_tokens", token("a", 0)));
}

TEST(HostileJson, what_is_not_supported_is_named) {
  EXPECT_TRUE(fails_with(with("/model/type", "Unigram"), Code::unsupported, "Unigram"));
  EXPECT_TRUE(fails_with(with("/model/dropout", 0.1), Code::unsupported, "dropout"));
  EXPECT_TRUE(fails_with(with("/model/end_of_word_suffix", "</w>"), Code::unsupported, "end_of_word_suffix"));
  EXPECT_TRUE(fails_with(with("/normalizer", {{"type", "Nmt"}}), Code::unsupported, "normalizer Nmt"));
  EXPECT_TRUE(fails_with(with("/pre_tokenizer", {{"type", "UnicodeScripts"}}), Code::unsupported, "UnicodeScripts"));
  EXPECT_TRUE(fails_with(with("/decoder", {{"type", "CTC"}}), Code::unsupported, "decoder CTC"));
  EXPECT_TRUE(fails_with(with("/post_processor", {{"type", "BertProcessing"}}), Code::unsupported, "BertProcessing"));
  EXPECT_TRUE(fails_with(with("/truncation", {{"max_length", 5}}), Code::unsupported, "truncation"));
}

TEST(HostileJson, regular_expressions) {
  const auto split = [](const char* regex) {
    return Json{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  EXPECT_TRUE(fails_with(with("/pre_tokenizer", split("(a")), Code::unsupported, "regular expression \"(a\""));
  Json file = small();
  file["pre_tokenizer"] = split("(a|aa)+$");  // tries exponentially many ways
  const auto tokenizer = make(file.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_FALSE(tokenizer->encode(std::string(100'000, 'a') + "b", false)) << "ends with an error, not never";
}

TEST(HostileJson, a_character_without_a_token_is_an_error) {
  const auto tokenizer = make(small().dump());
  ASSERT_TRUE(tokenizer);
  EXPECT_TRUE(fails_with(tokenizer->encode("abc", false), Code::input, "no token for \"c\""));
}

// Every damage ends in an error or in a tokenizer that works in some way.
void survive(std::string bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  const size_t changes = 1 + random() % 4;
  for (size_t i = 0; i < changes; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
  if (random() % 4 == 0) bytes.resize(random() % bytes.size());
  const auto tokenizer = make(bytes);
  if (!tokenizer) return;
  const auto ids = tokenizer->encode("The keeper's 12 ships,\t\u2460 café 😀 <pad>", true);
  if (!ids) return;
  EXPECT_TRUE(tokenizer->decode(*ids));
  streamed(*tokenizer, *ids);
}

class Damaged : public ::testing::TestWithParam<const char*> {};

TEST_P(Damaged, bytes_are_an_error_or_another_tokenizer) {
  const std::string bytes = read_bytes(kFixtures / GetParam());
  for (uint64_t seed = 0; seed < 1500; ++seed) survive(bytes, seed);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Damaged,
                         ::testing::Values("bpe.model", "bpe_rules.model", "unigram.model", "llama2.json",
                                           "qwen2.json"),
                         file_as_name<const char*>);

// Messages in the wire format of protocol buffers.
std::string field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string piece(const std::string& text, char type, float score = 0) {
  std::string raw(sizeof score, '\0');
  std::memcpy(raw.data(), &score, sizeof score);
  return field(1, field(1, text) + std::string(1, 0x15) + raw + std::string{0x18, type});
}
constexpr char kNormal = 1, kUnknown = 2;

TEST(HostileSentencePiece, names_the_fault) {
  const std::string good = piece("<unk>", kUnknown) + piece("a", kNormal);
  EXPECT_TRUE(make(good));
  EXPECT_TRUE(fails_with(make(""), Code::model, "0 unknown pieces"));
  EXPECT_TRUE(fails_with(make("neither"), Code::model, "damaged"));
  EXPECT_TRUE(fails_with(make(good.substr(0, good.size() - 1)), Code::model, "cut off"));
  EXPECT_TRUE(fails_with(make(good + piece("a", kNormal)), Code::model, "occurs twice"));
  EXPECT_TRUE(fails_with(make(good + piece("", kNormal)), Code::model, "piece 2 has 0 bytes"));
  EXPECT_TRUE(fails_with(make(good + piece("\xff", kNormal)), Code::model, "not UTF-8"));
  EXPECT_TRUE(fails_with(make(good + piece("b", kNormal, NAN)), Code::model, "not finite"));
  EXPECT_TRUE(fails_with(make(good + piece("b", 9)), Code::model, "unknown type 9"));
  EXPECT_TRUE(fails_with(make(good + piece("b", kUnknown)), Code::model, "2 unknown pieces"));
  const std::string words = field(2, std::string{0x18, 3});  // model_type WORD
  EXPECT_TRUE(fails_with(make(good + words), Code::unsupported, "model_type"));
  const std::string bytes = field(2, std::string{static_cast<char>(0x98), 0x02, 1});  // byte_fallback
  EXPECT_TRUE(fails_with(make(good + bytes), Code::model, "no piece <0x00>"));
}

}  // namespace
}  // namespace quoin::tokenize::test
