#include "generate/perplexity.hpp"

#include <cmath>

#include "fake_model.hpp"
#include "support.hpp"

namespace quoin::generate::test {
namespace {

using Rows = std::vector<std::vector<int64_t>>;

// Expects the token that is one larger, with probability `p`; the other three share the rest.
FakeModel counts(double p) {
  return {4, [p](std::span<const int64_t> read, std::span<float> logits) {
            std::fill(logits.begin(), logits.end(), static_cast<float>(std::log((1 - p) / 3)));
            logits[static_cast<size_t>((read.back() + 1) % 4)] = static_cast<float>(std::log(p));
          }};
}

Result<TextScore> score(FakeModel& model, const Rows& rows, const ScoreOptions& options = {},
                        FakeModel* against = nullptr, Progress* progress = nullptr) {
  Diagnostics diagnostics;
  return score_text(model, against, rows, options, progress, diagnostics);
}

TEST(Perplexity, is_the_inverse_of_the_mean_probability) {
  FakeModel model = counts(0.5);
  const auto right = score(model, {{0, 1, 2, 3, 0, 1}});
  ASSERT_TRUE(right) << right.error().text();
  EXPECT_NEAR(right->perplexity, 2, 1e-6);
  EXPECT_EQ(right->scored, 5u) << "all but the first";
  EXPECT_EQ(model.calls_, (std::vector<int64_t>{4, 2}));
  EXPECT_NEAR(score(model, {{0, 1}, {0, 0}})->perplexity, std::sqrt(2 * 6), 1e-5) << "one right, one wrong";
}

TEST(Perplexity, rows_do_not_see_each_other) {
  FakeModel model = counts(0.5);
  const auto out = score(model, {{0, 1, 2}, {3, 0}});
  ASSERT_TRUE(out);
  EXPECT_EQ(model.read_, (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(out->rows, 2u);
  EXPECT_EQ(out->tokens, 5u);
  EXPECT_EQ(out->scored, 3u);
}

TEST(Perplexity, long_rows_are_read_in_windows_and_every_token_is_scored_once) {
  std::vector<int64_t> row;
  for (int64_t i = 0; i < 23; ++i) row.push_back(i % 4);
  for (const int64_t window : {3, 5, 8, 22, 23, 24})
    for (const int64_t stride : {int64_t{1}, window / 2, window - 1}) {
      FakeModel model = counts(0.5);
      const auto out = score(model, {row}, {window, stride});
      ASSERT_TRUE(out) << out.error().text();
      EXPECT_EQ(out->scored, 22u) << window << " " << stride;
      EXPECT_NEAR(out->perplexity, 2, 1e-6);
    }
}

TEST(Perplexity, a_window_scores_what_no_earlier_one_did) {
  // The model knows the next token only if it has read five tokens.
  FakeModel model(4, [](std::span<const int64_t> read, std::span<float> logits) {
    if (read.size() >= 5) logits[static_cast<size_t>((read.back() + 1) % 4)] = 100;
  });
  std::vector<int64_t> row;
  for (int64_t i = 0; i < 17; ++i) row.push_back(i % 4);
  const auto out = score(model, {row}, {8, 4});
  ASSERT_TRUE(out);
  // Tokens 1-4 have too little before them; each later window scores behind at least four + one tokens.
  EXPECT_NEAR(std::log(out->perplexity) * 16, 4 * std::log(4), 1e-4);
}

TEST(Perplexity, against_another_model) {
  FakeModel model = counts(0.5), same = counts(0.5), other = counts(0.7);
  const Rows rows = {{0, 1, 2, 3, 0, 1}};
  const auto equal = score(model, rows, {}, &same);
  ASSERT_TRUE(equal) << equal.error().text();
  EXPECT_NEAR(equal->against->kl_mean, 0, 1e-9);
  EXPECT_EQ(equal->against->top1_agreement, 1);
  const auto out = score(model, rows, {}, &other);
  ASSERT_TRUE(out);
  const double kl = 0.7 * std::log(0.7 / 0.5) + 0.3 * std::log(0.1 / (0.5 / 3));
  EXPECT_NEAR(out->against->kl_mean, kl, 1e-6);
  EXPECT_NEAR(out->against->kl_p99, kl, 1e-6);
  EXPECT_NEAR(out->against->kl_max, kl, 1e-6);
  EXPECT_NEAR(out->against->perplexity, 1 / 0.7, 1e-6);
}

TEST(Perplexity, agreement_is_the_share_of_equal_expectations) {
  FakeModel model = counts(0.5), other(4, [](std::span<const int64_t>, std::span<float> logits) { logits[1] = 1; });
  const auto out = score(model, {{0, 1, 2, 3, 0}}, {}, &other);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->against->top1_agreement, 0.25) << "after 0 only";
}

TEST(Perplexity, refusals) {
  FakeModel model = counts(0.5), larger(5, [](std::span<const int64_t>, std::span<float>) {});
  EXPECT_TRUE(fails_with(score(model, {{1}, {}}), Code::data, "nothing to predict"));
  EXPECT_TRUE(fails_with(score(model, {{0, 1}}, {65, 0}), Code::usage, "window must be from 2 to the context of 64"));
  EXPECT_TRUE(fails_with(score(model, {{0, 1}}, {8, 8}), Code::usage, "stride must be from 1 to below"));
  EXPECT_TRUE(fails_with(score(model, {{0, 1}}, {}, &larger), Code::usage, "4 and 5 tokens"));
  FakeModel broken(4, [](std::span<const int64_t>, std::span<float> logits) { logits[2] = NAN; });
  EXPECT_TRUE(fails_with(score(broken, {{0, 1}}), Code::internal, "logit of token 2"));
}

TEST(Perplexity, short_rows_are_left_out_with_a_note) {
  FakeModel model = counts(0.5);
  Diagnostics diagnostics;
  const auto out = score_text(model, nullptr, {{0}, {0, 1}}, {}, nullptr, diagnostics);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->rows, 1u);
  ASSERT_EQ(diagnostics.notes().size(), 1u);
  EXPECT_NE(diagnostics.notes()[0].what.find("fewer than two tokens"), std::string::npos);
}

class StopAt : public Progress {
 public:
  void stage(std::string_view, uint64_t total) override { total_ = total; }
  bool step(uint64_t done) override { return done < 4; }
  uint64_t total_ = 0;
};

TEST(Perplexity, stops_when_asked) {
  FakeModel model = counts(0.5);
  StopAt progress;
  EXPECT_TRUE(fails_with(score(model, {{0, 1, 2, 3, 0, 1}}, {}, nullptr, &progress), Code::cancelled, "4 of 6"));
  EXPECT_EQ(progress.total_, 6u);
}

}  // namespace
}  // namespace quoin::generate::test
