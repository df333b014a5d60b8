// Runs exported methods of language models on the portable kernels.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "host/services.hpp"
#include "interpret/interpreter.hpp"
#include "nn/language_model.hpp"

namespace quoin::nn::test {

inline const quoin_host& host() {
  static const host::Services services({.threads = 2, .isa = 0, .log = {}});
  return services.table();
}
inline const kernels::KernelSet& portable() {
  static const kernels::KernelSet set;
  return set;
}

// The value, or a failed test and the program's end: tests cannot go on without it.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().text();
    std::abort();
  }
  return *std::move(result);
}

inline LanguageModel open(const std::string& path) {
  Diagnostics diagnostics;
  LanguageModel model = must(LanguageModel::open(path, diagnostics));
  for (const Note& note : diagnostics.notes()) EXPECT_NE(note.level, Level::warning) << note.text();
  return model;
}

// A graph with its states; starts with zeros in them.
class Runner {
 public:
  explicit Runner(ir::Graph graph)
      : graph_(std::make_unique<ir::Graph>(std::move(graph))),
        interpreter_(must(interpret::Interpreter::create(*graph_, portable(), host()))) {
    reset();
  }

  const ir::Graph& graph() const { return *graph_; }
  void reset() { states_ = zeros(); }
  std::vector<Tensor>& states() { return states_; }

  // Logits of tokens at positions first, first + 1 ...; there must be as many as the graph takes.
  Tensor operator()(const std::vector<int64_t>& tokens, int64_t first = 0) {
    std::vector<int64_t> positions(tokens.size());
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = first + static_cast<int64_t>(i);
    const Shape shape{static_cast<int64_t>(tokens.size())};
    std::vector<Tensor> inputs{Tensor::of<int64_t>(DType::s64, shape, tokens),
                               Tensor::of<int64_t>(DType::s64, shape, positions)};
    inputs.insert(inputs.end(), states_.begin(), states_.end());
    std::vector<Tensor> outputs = must(interpreter_.run(inputs));
    states_.assign(outputs.begin() + 1, outputs.end());
    return outputs[0];
  }

 private:
  std::vector<Tensor> zeros() const {
    std::vector<Tensor> out;
    for (const ir::State& state : graph_->states) {
      const TensorType& type = graph_->value(graph_->inputs()[state.input]).type;
      out.emplace_back(type.dtype, type.shape);
    }
    return out;
  }

  std::unique_ptr<ir::Graph> graph_;
  interpret::Interpreter interpreter_;
  std::vector<Tensor> states_;
};

inline Runner runner(LanguageModel& model, Method method, ExportOptions options) {
  return Runner(must(model.export_method(method, options)));
}

// The largest absolute difference.
inline float difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}
inline float difference(const Tensor& a, const Tensor& b) { return difference(a.as<float>(), b.as<float>()); }

inline std::string shared_folder() {
  const char* given = std::getenv("QUOIN_SHARED");
  return given != nullptr ? given : QUOIN_SOURCE_ROOT "/../shared";
}

}  // namespace quoin::nn::test
