#include "generate/program_model.hpp"

#include <numeric>
#include <optional>

#include "base/text.hpp"

namespace quoin::generate {
namespace {

struct Method {
  size_t index = 0;
  int64_t longest = 0, vocabulary = 0;
};

Failure no_language_model(const runtime::Executable& executable, std::string what) {
  return fail(Code::input, "{}", what)
      .at("{}", executable.model().name)
      .hint("a language model's program comes from quoin quantize with a checkpoint folder as its model");
}

Result<Method> find_method(const runtime::Executable& executable, const std::string& name, bool single) {
  const auto index = executable.method(name);
  if (!index) {
    std::vector<std::string> names;
    for (const program::Method& method : executable.model().methods) names.push_back(method.name);
    return no_language_model(executable, fmt::format("the program has no method {}, only {}", name, join(names, ", ")));
  }
  const auto inputs = executable.inputs(*index), outputs = executable.outputs(*index);
  const auto is_row = [&](size_t i) {
    return i < inputs.size() && inputs[i].type.dtype == DType::s64 && inputs[i].type.shape.size() == 1;
  };
  const bool fits = inputs.size() == 2 && is_row(0) && is_row(1) && inputs[0].type.shape == inputs[1].type.shape &&
                    !outputs.empty() && outputs[0].type.dtype == DType::f32 && outputs[0].type.shape.size() == 2;
  if (!fits)
    return no_language_model(executable,
                             fmt::format("method {} does not take tokens and positions and give logits", name));
  Method out{*index, inputs[0].type.shape[0], outputs[0].type.shape[1]};
  if (out.longest < 1 || out.vocabulary < 1 || (single && out.longest != 1))
    return no_language_model(
        executable, fmt::format("method {} takes {} tokens and gives {} logits", name, out.longest, out.vocabulary));
  return out;
}

// Rows of the key/value cache.
Result<int64_t> rows_of_cache(const runtime::Executable& executable) {
  std::optional<int64_t> rows;
  for (const runtime::TensorSpec& state : executable.states()) {
    const int64_t here = state.type.shape.empty() ? 0 : state.type.shape[0];
    if (here < 1 || here != rows.value_or(here))
      return no_language_model(executable, fmt::format("state {} {} is no key/value cache of the others' length",
                                                       state.name, to_string(state.type.shape)));
    rows = here;
  }
  if (!rows) return no_language_model(executable, "the program keeps no key/value cache");
  return *rows;
}

class ProgramModel : public StepModel {
 public:
  ProgramModel(runtime::Executable& executable, int64_t context) : executable_(executable), context_(context) {}
  Status open(Use use) {
    if (use == Use::score) return open_score();
    QUOIN_TRY(prefill_, find_method(executable_, "prefill", false));
    QUOIN_TRY(decode_, find_method(executable_, "decode", true));
    vocabulary_ = decode_->vocabulary;
    if (prefill_->vocabulary != vocabulary_)
      return no_language_model(executable_,
                               fmt::format("prefill gives {} logits, decode {}", prefill_->vocabulary, vocabulary_));
    return {};
  }

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t context() const override { return context_; }
  int64_t chunk() const override { return prefill_ ? std::min(prefill_->longest, context_) : 0; }
  int64_t score_chunk() const override { return score_ ? std::min(score_->longest, context_) : 0; }

  Result<Tensor> read(std::span<const int64_t> tokens, int64_t first) override {
    return run(tokens.size() == 1 ? *decode_ : *prefill_, tokens, first);
  }
  Result<Tensor> score(std::span<const int64_t> tokens, int64_t first) override { return run(*score_, tokens, first); }

 private:
  Status open_score() {
    QUOIN_TRY(score_, find_method(executable_, "score", false));
    vocabulary_ = score_->vocabulary;
    return {};
  }
  Result<Tensor> run(const Method& method, std::span<const int64_t> tokens, int64_t first) {
    const auto count = static_cast<int64_t>(tokens.size());
    std::vector<Tensor> inputs = {Tensor::of<int64_t>(DType::s64, {count}, tokens), Tensor(DType::s64, {count})};
    const auto positions = inputs[1].as<int64_t>();
    std::iota(positions.begin(), positions.end(), first);
    QUOIN_TRY(const std::vector<Tensor> outputs, executable_.run(method.index, inputs));
    return outputs[0];
  }

  runtime::Executable& executable_;
  int64_t context_, vocabulary_ = 0;
  std::optional<Method> prefill_, decode_, score_;
};

}  // namespace

Result<std::unique_ptr<StepModel>> open_program(runtime::Executable& executable, Use use) {
  QUOIN_TRY(const int64_t context, rows_of_cache(executable));
  auto model = std::make_unique<ProgramModel>(executable, context);
  QUOIN_CHECK(model->open(use));
  return model;
}

}  // namespace quoin::generate
