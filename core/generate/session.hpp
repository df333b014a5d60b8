// Writes text with a language model: reads a prompt, then one token after the other.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/sampler.hpp"
#include "generate/step_model.hpp"
#include "tokenize/tokenizer.hpp"

namespace quoin::generate {

struct Limits {
  int64_t max_tokens = 0;         // 0: until something else ends the text
  bool ignore_eos = false;        // tokens that end a text do not end it, and have no text
  std::vector<std::string> stop;  // texts that end it; not shown. None is empty
};

enum class Finish { stop_token, stop_string, max_tokens, context, cancelled };
std::string_view name(Finish finish);  // "stop_token", ...
std::string describe(Finish finish);   // for people

struct Statistics {
  int64_t prompt_tokens = 0, new_tokens = 0;
  double prompt_seconds = 0;  // reading the prompt
  double first_seconds = 0;   // from the start to the first token
  double decode_seconds = 0;  // all tokens but the first, which the prompt's logits give
  double prompt_rate() const { return prompt_seconds > 0 ? static_cast<double>(prompt_tokens) / prompt_seconds : 0; }
  double decode_rate() const {
    return decode_seconds > 0 && new_tokens > 1 ? static_cast<double>(new_tokens - 1) / decode_seconds : 0;
  }
};

struct Outcome {
  std::string text;             // as it was shown
  std::vector<int64_t> tokens;  // with the one that ended the text, if one did
  Finish finish = Finish::max_tokens;
  Statistics statistics;
};

// Gets text as it comes, whole characters; an empty one while the prompt is read. False: stop.
using Listener = std::function<bool(std::string_view)>;

class Session {
 public:
  // `model` and `tokenizer` must outlive the session. Errors: usage (a sampling option), input (the tokenizer has more
  // tokens than the model).
  static Result<Session> open(StepModel& model, const tokenize::Tokenizer& tokenizer, const Sampling& sampling);

  // Goes on with `text` behind what was read and written so far; the first text gets the tokens that begin one.
  // Errors: input (not UTF-8, no tokens, more than the context has left), those of the model.
  Result<Outcome> generate(std::string_view text, const Limits& limits, const Listener& listener);

  int64_t used() const { return position_; }  // rows of the context

 private:
  Session(StepModel& model, const tokenize::Tokenizer& tokenizer, const Sampling& sampling)
      : model_(&model), tokenizer_(&tokenizer), sampler_(sampling) {}
  Result<std::vector<int64_t>> prompt(std::string_view text) const;
  // The logits behind the last token; nothing if the listener said stop.
  Result<std::optional<Tensor>> read(std::span<const int64_t> tokens, const Listener& listener);
  Status write(Tensor logits, const Limits& limits, const Listener& listener, tokenize::Stream& stream, Outcome& out);
  std::optional<Finish> finished(int64_t token, const Limits& limits, const Outcome& out) const;

  StepModel* model_;
  const tokenize::Tokenizer* tokenizer_;
  Sampler sampler_;
  int64_t position_ = 0;         // tokens that the model has read
  std::optional<int64_t> last_;  // the last one written, which the model has not read
};

}  // namespace quoin::generate
