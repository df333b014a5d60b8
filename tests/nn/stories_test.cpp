// A real model of the Llama architecture against what PyTorch computed with it.
#include <algorithm>
#include <cmath>

#include "data/files.hpp"
#include "ir/print.hpp"
#include "support.hpp"

namespace quoin::nn::test {
namespace {

constexpr int64_t kVocabulary = 512;

std::string stories_folder() { return shared_folder() + "/models/stories260k"; }

class Stories : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(stories_folder())) GTEST_SKIP() << stories_folder() << " is not there";
    reference_ = must(data::read_safetensors(stories_folder() + "/reference.safetensors"));
    model_.emplace(open(stories_folder()));
  }

  std::vector<int64_t> tokens(const std::string& name, int64_t row = 0) const {
    const Tensor& tensor = reference_.at(name);
    const auto columns = static_cast<size_t>(tensor.shape().back());
    std::vector<int64_t> out(columns);
    for (size_t i = 0; i < columns; ++i) {
      const size_t at = static_cast<size_t>(row) * columns + i;
      out[i] = tensor.dtype() == DType::s64 ? tensor.as<int64_t>()[at] : tensor.as<int32_t>()[at];
    }
    return out;
  }

  data::TensorMap reference_;
  std::optional<LanguageModel> model_;
};

std::vector<int64_t> first(const std::vector<int64_t>& tokens, size_t count) {
  return {tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(count)};
}

// Sum of -log p(next token) over a row of tokens.
double negative_log_likelihood(const Tensor& logits, const std::vector<int64_t>& tokens) {
  double sum = 0;
  for (size_t t = 0; t + 1 < tokens.size(); ++t) {
    const auto row = logits.as<float>().subspan(t * kVocabulary, kVocabulary);
    const float most = *std::max_element(row.begin(), row.end());
    double total = 0;
    for (const float value : row) total += std::exp(static_cast<double>(value - most));
    sum += std::log(total) - static_cast<double>(row[static_cast<size_t>(tokens[t + 1])] - most);
  }
  return sum;
}

TEST_F(Stories, LogitsOfTheFirst64TokensEqualTheReference) {
  const Tensor& expected = reference_.at("logits");
  Runner score = runner(*model_, Method::score, {.context = 128, .chunk = 64});
  const Tensor logits = score(first(tokens("greedy"), 64));
  ASSERT_EQ(logits.shape(), (Shape{64, kVocabulary}));
  EXPECT_LE(difference(logits, expected.reshaped({64, kVocabulary})), 1e-3f);
}

TEST_F(Stories, GreedyDecodingGivesTheReferenceText) {
  const auto prompt = tokens("prompt"), expected = tokens("greedy");
  Runner decode = runner(*model_, Method::decode, {.context = 256});
  std::vector<int64_t> said = prompt;
  for (size_t i = 0; i + 1 < expected.size(); ++i) {
    const Tensor logits = decode({said[i]}, static_cast<int64_t>(i));
    const auto row = std::as_const(logits).as<float>();
    if (i + 1 == said.size()) said.push_back(std::max_element(row.begin(), row.end()) - row.begin());
  }
  EXPECT_EQ(said, expected);
}

TEST_F(Stories, PrefillEqualsDecodingStepByStep) {
  const auto text = first(tokens("greedy"), 24);
  const ExportOptions options{.context = 64, .chunk = 24};
  Runner prefill = runner(*model_, Method::prefill, options), decode = runner(*model_, Method::decode, options);
  const Tensor at_once = prefill(text);
  Tensor last;
  for (size_t i = 0; i < text.size(); ++i) last = decode({text[i]}, static_cast<int64_t>(i));
  EXPECT_EQ(difference(at_once, last), 0.0f);
  for (size_t i = 0; i < prefill.states().size(); ++i)
    EXPECT_EQ(difference(prefill.states()[i], decode.states()[i]), 0.0f) << prefill.graph().states[i].name;
}

TEST_F(Stories, PrefillGivesTheLastRowOfScore) {
  const auto text = first(tokens("greedy"), 24);
  const ExportOptions options{.context = 64, .chunk = 24};
  const Tensor all = runner(*model_, Method::score, options)(text);
  const Tensor last = runner(*model_, Method::prefill, options)(text);
  ASSERT_EQ(last.shape(), (Shape{1, kVocabulary}));
  EXPECT_EQ(difference(all.as<float>().last(kVocabulary), last.as<float>()), 0.0f);
}

TEST_F(Stories, ChunksContinueWhereTheLastOneEnded) {
  const auto text = first(tokens("greedy"), 24);
  Runner whole = runner(*model_, Method::prefill, {.context = 64, .chunk = 24}),
         parts = runner(*model_, Method::prefill, {.context = 64, .chunk = 8});
  const Tensor expected = whole(text);
  Tensor last;
  for (int64_t at = 0; at < 24; at += 8) last = parts({text.begin() + at, text.begin() + at + 8}, at);
  EXPECT_EQ(difference(expected, last), 0.0f);
}

TEST_F(Stories, Int8CacheStaysClose) {
  const auto text = first(tokens("greedy"), 24);
  const Tensor exact = runner(*model_, Method::score, {.context = 64, .chunk = 24})(text);
  Runner coarse = runner(*model_, Method::score, {.context = 64, .chunk = 24, .int8_cache = true});
  EXPECT_EQ(coarse.graph().states.size(), 20u);
  EXPECT_EQ(coarse.graph().states[1].name, "layers.0.k_affine");
  const float apart = difference(exact, coarse(text));
  EXPECT_GT(apart, 0.0f);
  EXPECT_LE(apart, 1.0f);
}

// Over the first rows of `stories`, each from an empty cache.
double perplexity(LanguageModel& model, const Tensor& stories, int64_t rows, const ExportOptions& options) {
  Runner score = runner(model, Method::score, options);
  double sum = 0;
  const auto columns = static_cast<size_t>(options.chunk);
  for (int64_t story = 0; story < rows; ++story) {
    const auto row = stories.as<int64_t>().subspan(static_cast<size_t>(story) * columns, columns);
    const std::vector<int64_t> text(row.begin(), row.end());
    score.reset();
    sum += negative_log_likelihood(score(text), text);
  }
  return std::exp(sum / static_cast<double>(rows * (options.chunk - 1)));
}

TEST_F(Stories, PerplexityOfAllStories) {
  constexpr double kReference = 3.644037961959839;
  const Tensor& stories = reference_.at("stories");
  ASSERT_EQ(stories.dtype(), DType::s64);
  const ExportOptions options{.context = 256, .chunk = 256};
  EXPECT_NEAR(perplexity(*model_, stories, stories.shape()[0], options), kReference, 1e-3 * kReference);
}

TEST_F(Stories, Int8CacheKeepsPerplexity) {
  const Tensor& stories = reference_.at("stories");
  const double exact = perplexity(*model_, stories, 4, {.context = 256, .chunk = 256});
  EXPECT_NEAR(perplexity(*model_, stories, 4, {.context = 256, .chunk = 256, .int8_cache = true}), exact, 0.01 * exact);
}

TEST_F(Stories, StagesChainedGiveTheScores) {
  const auto text = first(tokens("greedy"), 16);
  const Tensor expected = runner(*model_, Method::score, {.context = 64, .chunk = 16})(text);
  const Shape shape{16};
  std::vector<int64_t> rows(16);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
  const Tensor positions = Tensor::of<int64_t>(DType::s64, shape, rows);
  Tensor hidden = Tensor::of<int64_t>(DType::s64, shape, text);
  for (size_t stage = 0; stage < model_->stages(); ++stage) {
    const ir::Graph graph = must(model_->export_stage(stage, 16));
    const std::vector<Tensor> operands{hidden, positions};
    auto interpreter = must(interpret::Interpreter::create(graph, portable(), host()));
    hidden = must(interpreter.run(std::span(operands).first(graph.inputs().size())))[0];
  }
  EXPECT_EQ(difference(hidden, expected), 0.0f);
}

}  // namespace
}  // namespace quoin::nn::test
