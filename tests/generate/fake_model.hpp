// A model whose predictions the test writes down; it checks that it is driven as StepModel demands.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "generate/step_model.hpp"

namespace quoin::generate::test {

class FakeModel : public StepModel {
 public:
  // Fills the logits of what follows `read`, the tokens so far.
  using Predict = std::function<void(std::span<const int64_t> read, std::span<float> logits)>;
  FakeModel(int64_t vocabulary, Predict predict) : vocabulary_(vocabulary), predict_(std::move(predict)) {}

  // Token number n of the text is script[n]; behind its end, 0.
  static FakeModel says(std::vector<int64_t> script, int64_t vocabulary) {
    return {vocabulary, [script](std::span<const int64_t> read, std::span<float> logits) {
              const int64_t next = read.size() < script.size() ? script[read.size()] : 0;
              logits[static_cast<size_t>(next)] = 9;
            }};
  }

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t context() const override { return context_; }
  int64_t chunk() const override { return chunk_; }
  int64_t score_chunk() const override { return chunk_; }

  Result<Tensor> read(std::span<const int64_t> tokens, int64_t first) override {
    QUOIN_TRY(const Tensor all, score(tokens, first));
    Tensor last(DType::f32, {1, vocabulary_});
    const auto from = all.as<float>().last(static_cast<size_t>(vocabulary_));
    std::copy(from.begin(), from.end(), last.as<float>().begin());
    return last;
  }
  Result<Tensor> score(std::span<const int64_t> tokens, int64_t first) override {
    const auto count = static_cast<int64_t>(tokens.size());
    EXPECT_GE(count, 1);
    EXPECT_LE(count, chunk_);
    EXPECT_LE(first, static_cast<int64_t>(read_.size())) << "positions before were read";
    EXPECT_LE(first + count, context_);
    if (fails_at_ >= 0 && first + count > fails_at_) return fail(Code::plugin, "the device is gone");
    read_.resize(static_cast<size_t>(first));
    calls_.push_back(count);
    Tensor out(DType::f32, {count, vocabulary_});
    for (int64_t t = 0; t < count; ++t) {
      read_.push_back(tokens[static_cast<size_t>(t)]);
      const auto width = static_cast<size_t>(vocabulary_);
      predict_(read_, out.as<float>().subspan(static_cast<size_t>(t) * width, width));
    }
    return out;
  }

  int64_t context_ = 64, chunk_ = 4, fails_at_ = -1;
  std::vector<int64_t> read_;   // all tokens so far
  std::vector<int64_t> calls_;  // how many tokens each call had

 private:
  int64_t vocabulary_;
  Predict predict_;
};

}  // namespace quoin::generate::test
