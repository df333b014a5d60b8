#include "generate/session.hpp"

#include "fake_model.hpp"
#include "generate/stop_strings.hpp"
#include "support.hpp"

namespace quoin::generate::test {
namespace {

Sampling greedy() {
  Sampling out;
  out.temperature = 0;
  return out;
}

bool go_on(std::string_view) { return true; }

class Writing : public ::testing::Test {
 protected:
  // The model says `text` from its first letter on, whatever the prompt was, and then ends.
  FakeModel model(const std::string& text) const {
    return FakeModel::says(*tokenizer_.encode(text, false), tokenizer_.size());
  }
  Result<Outcome> write(FakeModel& model, const std::string& prompt, const Limits& limits,
                        const Listener& listener = go_on) const {
    QUOIN_TRY(Session session, Session::open(model, tokenizer_, greedy()));
    return session.generate(prompt, limits, listener);
  }
  const tokenize::Tokenizer tokenizer_ = letters();
};

TEST_F(Writing, reads_the_prompt_in_chunks_and_then_one_token_at_a_time) {
  FakeModel fake = model("once upon a time");
  const auto out = write(fake, "once upon", {});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->text, " a time");
  EXPECT_EQ(out->finish, Finish::stop_token);
  EXPECT_EQ(fake.calls_, (std::vector<int64_t>{4, 4, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(out->tokens.size(), 8u) << "with the end token";
  EXPECT_EQ(out->statistics.prompt_tokens, 9);
  EXPECT_EQ(out->statistics.new_tokens, 8);
}

TEST_F(Writing, shows_text_as_it_comes) {
  FakeModel fake = model("abcd");
  std::vector<std::string> parts;
  const auto out = write(fake, "a", {}, [&](std::string_view part) {
    if (!part.empty()) parts.emplace_back(part);
    return true;
  });
  ASSERT_TRUE(out);
  EXPECT_EQ(parts, (std::vector<std::string>{"b", "c", "d"}));
}

TEST_F(Writing, ends_at_the_limit) {
  FakeModel fake = model("abcdefgh");
  const auto out = write(fake, "a", {3, false, {}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "bcd");
  EXPECT_EQ(out->finish, Finish::max_tokens);
  EXPECT_EQ(fake.read_.size(), 3u) << "the last token is not read";
}

TEST_F(Writing, ends_when_the_context_is_full) {
  FakeModel fake = model("abcdefgh");
  fake.context_ = 5;
  const auto out = write(fake, "abc", {});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->text, "def") << "the token behind the last row can still be predicted";
  EXPECT_EQ(out->finish, Finish::context);
}

TEST_F(Writing, ends_at_a_stop_text_without_showing_any_of_it) {
  FakeModel fake = model("abcdefgh");
  std::string shown;
  const auto out = write(fake, "a", {0, false, {"zzz", "def"}}, [&](std::string_view part) {
    shown += part;
    return true;
  });
  ASSERT_TRUE(out);
  EXPECT_EQ(shown, "bc");
  EXPECT_EQ(out->text, "bc");
  EXPECT_EQ(out->finish, Finish::stop_string);
}

TEST_F(Writing, goes_on_behind_the_end_if_asked) {
  FakeModel fake = model("ab");
  const auto out = write(fake, "a", {4, true, {}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "b") << "end tokens have no text";
  EXPECT_EQ(out->finish, Finish::max_tokens);
}

TEST_F(Writing, stops_when_the_listener_says_so) {
  FakeModel fake = model("abcdefgh");
  int parts = 0;
  const auto later = write(fake, "a", {}, [&](std::string_view part) { return part.empty() || ++parts < 3; });
  ASSERT_TRUE(later);
  EXPECT_EQ(later->text, "bcd");
  EXPECT_EQ(later->finish, Finish::cancelled);
  const auto at_once = write(fake, "a", {}, [](std::string_view) { return false; });
  ASSERT_TRUE(at_once);
  EXPECT_EQ(at_once->finish, Finish::cancelled);
  EXPECT_EQ(at_once->statistics.prompt_tokens, 0);
}

TEST_F(Writing, a_session_goes_on_from_what_was_written) {
  FakeModel fake = model("abcdefgh");
  auto session = Session::open(fake, tokenizer_, greedy());
  ASSERT_TRUE(session);
  EXPECT_EQ(session->generate("a", {2, false, {}}, go_on)->text, "bc");
  const auto out = session->generate("xy", {0, false, {}}, go_on);
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->text, "fgh");
  EXPECT_EQ(fake.read_, *tokenizer_.encode("abcxyfgh", false));
  EXPECT_EQ(out->statistics.prompt_tokens, 3) << "the last token of the first answer was not read yet";
}

TEST_F(Writing, only_tokens_of_the_tokenizer_are_chosen) {
  FakeModel padded(100, [](std::span<const int64_t>, std::span<float> logits) { logits[99] = 9, logits[3] = 8; });
  const auto out = write(padded, "a", {2, false, {}});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->text, "cc");
}

TEST_F(Writing, bad_prompts) {
  FakeModel fake = model("abc");
  EXPECT_TRUE(fails_with(write(fake, "", {}), Code::input, "no tokens"));
  EXPECT_TRUE(fails_with(write(fake, "a\xff", {}), Code::input, "not UTF-8"));
  EXPECT_TRUE(fails_with(write(fake, "A", {}), Code::input, "no token for \"A\""));
  EXPECT_TRUE(fails_with(write(fake, std::string(65, 'a'), {}), Code::input, "the context of 64 has room for 64"));
  EXPECT_TRUE(write(fake, std::string(64, 'a'), {}));
  EXPECT_TRUE(fails_with(write(fake, "a", {0, false, {""}}), Code::usage, "stop text is empty"));
  EXPECT_TRUE(fails_with(write(fake, "a", {-1, false, {}}), Code::usage, "max tokens"));
}

TEST_F(Writing, errors_of_the_model_come_through) {
  FakeModel fake = model("abcdefgh");
  fake.fails_at_ = 3;
  EXPECT_TRUE(fails_with(write(fake, "a", {}), Code::plugin, "the device is gone"));
}

TEST_F(Writing, a_tokenizer_of_another_model_is_refused) {
  FakeModel small(5, [](std::span<const int64_t>, std::span<float>) {});
  EXPECT_TRUE(fails_with(Session::open(small, tokenizer_, greedy()), Code::input, "28 tokens, the model knows 5"));
  Sampling bad;
  bad.top_p = 2;
  FakeModel fake = model("a");
  EXPECT_TRUE(fails_with(Session::open(fake, tokenizer_, bad), Code::usage, "top-p"));
}

TEST(StopStrings, holds_what_may_become_one) {
  StopStrings stops({"stop", "to"});
  EXPECT_EQ(stops.push("as"), "a");
  EXPECT_EQ(stops.push("st"), "s");
  EXPECT_EQ(stops.push("x"), "stx");
  EXPECT_EQ(stops.push("st"), "");
  EXPECT_EQ(stops.push("o"), "s") << "\"to\" comes first in \"sto\"";
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.push("more"), "");
  EXPECT_EQ(stops.finish(), "");
}

TEST(StopStrings, gives_back_what_became_none) {
  StopStrings stops({"stop"});
  EXPECT_EQ(stops.push("sto"), "");
  EXPECT_EQ(stops.finish(), "sto");
}

}  // namespace
}  // namespace quoin::generate::test
