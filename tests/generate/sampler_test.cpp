#include "generate/sampler.hpp"

#include <cmath>
#include <map>

#include "support.hpp"

namespace quoin::generate::test {
namespace {

Sampling plain() {  // the model's distribution as it is
  Sampling out;
  out.temperature = 1;
  out.top_k = 0;
  out.top_p = 1;
  return out;
}

std::map<int64_t, int> draw(const Sampling& sampling, const std::vector<float>& logits, int count = 20'000) {
  Sampler sampler(sampling);
  std::map<int64_t, int> out;
  for (int i = 0; i < count; ++i) ++out[*sampler.next(logits)];
  return out;
}

const std::vector<float> kLogits = {0, std::log(2.0F), std::log(4.0F), std::log(1.0F)};  // 1 : 2 : 4 : 1

TEST(Exp, is_exact_to_1e_14) {
  for (double x = 0; x > -690; x -= 0.37) EXPECT_NEAR(portable_exp(x) / std::exp(x), 1, 1e-14) << x;
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_EQ(portable_exp(-1e9), 0);
  EXPECT_EQ(portable_exp(-INFINITY), 0);
}

TEST(Sampler, draws_by_probability) {
  const auto counts = draw(plain(), kLogits);
  EXPECT_NEAR(counts.at(0), 2500, 200);
  EXPECT_NEAR(counts.at(1), 5000, 250);
  EXPECT_NEAR(counts.at(2), 10'000, 300);
  EXPECT_NEAR(counts.at(3), 2500, 200);
}

TEST(Sampler, the_seed_decides) {
  const auto tokens = [](uint64_t seed) {
    Sampling sampling = plain();
    sampling.seed = seed;
    Sampler sampler(sampling);
    std::vector<int64_t> out;
    for (int i = 0; i < 24; ++i) out.push_back(*sampler.next(kLogits));
    return out;
  };
  EXPECT_EQ(tokens(7), tokens(7));
  EXPECT_NE(tokens(7), tokens(8));
  // On every machine: integers and exactly rounded operations only. Computed apart from this code.
  EXPECT_EQ(tokens(0), (std::vector<int64_t>{1, 1, 2, 1, 0, 2, 0, 2, 2, 1, 2, 2, 2, 1, 1, 2, 1, 0, 0, 2, 3, 1, 1, 0}));
}

TEST(Sampler, temperature_zero_takes_the_best_and_of_equals_the_first) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  EXPECT_EQ(draw(sampling, kLogits, 10), (std::map<int64_t, int>{{2, 10}}));
  EXPECT_EQ(draw(sampling, {3, 5, 5}, 10), (std::map<int64_t, int>{{1, 10}}));
}

TEST(Sampler, temperature_sharpens) {
  Sampling sampling = plain();
  sampling.temperature = 0.5;  // squares: 1 : 4 : 16 : 1
  EXPECT_NEAR(draw(sampling, kLogits).at(2), 20'000 * 16 / 22, 300);
}

TEST(Sampler, top_k_keeps_the_best) {
  Sampling sampling = plain();
  sampling.top_k = 2;
  const auto counts = draw(sampling, kLogits);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts.at(1), 20'000 / 3, 300);
  sampling.top_k = 3;  // of the equal tokens 0 and 3, the first
  EXPECT_EQ(draw(sampling, kLogits).count(3), 0u);
}

TEST(Sampler, top_p_keeps_the_fewest_with_that_probability) {
  Sampling sampling = plain();
  sampling.top_p = 0.5;  // token 2 has exactly this
  EXPECT_EQ(draw(sampling, kLogits, 100).size(), 1u);
  sampling.top_p = 0.51;
  EXPECT_EQ(draw(sampling, kLogits, 1000).size(), 2u);
}

TEST(Sampler, min_p_leaves_out_what_is_unlikely) {
  Sampling sampling = plain();
  sampling.min_p = 0.3;
  EXPECT_EQ(draw(sampling, kLogits, 1000).size(), 2u);
}

TEST(Sampler, repetition_penalty_looks_at_the_window) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  sampling.repetition_penalty = 4;
  sampling.repeat_window = 2;
  Sampler sampler(sampling);
  const std::vector<float> logits = {4, 3, -1};
  EXPECT_EQ(*sampler.next(logits), 0);
  sampler.saw(0);
  EXPECT_EQ(*sampler.next(logits), 1);
  sampler.saw(1);
  sampler.saw(2);  // 0 is forgotten
  EXPECT_EQ(*sampler.next(logits), 0);
}

TEST(Sampler, a_token_that_cannot_be_is_never_drawn) { EXPECT_EQ(draw(plain(), {0, -INFINITY, 0}, 1000).count(1), 0u); }

TEST(Sampler, broken_logits_are_an_error) {
  for (const float bad : {NAN, INFINITY})
    EXPECT_TRUE(fails_with(Sampler(plain()).next(std::vector<float>{0, bad}), Code::internal, "logit of token 1"));
}

TEST(Sampling, options_out_of_range_are_named) {
  const auto with = [](auto change) {
    Sampling sampling;
    change(sampling);
    return check(sampling);
  };
  EXPECT_TRUE(check(Sampling()));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.temperature = -1; }), Code::usage, "temperature must be from 0"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.temperature = NAN; }), Code::usage, "temperature"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.top_p = 1.5; }), Code::usage, "top-p must be from 0 to 1"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.top_p = 0; }), Code::usage, "top-p must be above 0"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.top_k = -1; }), Code::usage, "top-k"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.min_p = 2; }), Code::usage, "min-p"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.repetition_penalty = 0; }), Code::usage, "repetition penalty"));
  EXPECT_TRUE(fails_with(with([](Sampling& s) { s.repeat_window = -1; }), Code::usage, "repeat window"));
}

}  // namespace
}  // namespace quoin::generate::test
