#include "generate/session.hpp"

#include <algorithm>
#include <chrono>

#include "generate/stop_strings.hpp"

namespace quoin::generate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

std::string_view name(Finish finish) {
  switch (finish) {
    case Finish::stop_token:
      return "stop_token";
    case Finish::stop_string:
      return "stop_string";
    case Finish::max_tokens:
      return "max_tokens";
    case Finish::context:
      return "context";
    case Finish::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string describe(Finish finish) {
  switch (finish) {
    case Finish::stop_token:
      return "the model ended the text";
    case Finish::stop_string:
      return "a stop text came";
    case Finish::max_tokens:
      return "the limit of new tokens is reached";
    case Finish::context:
      return "the context is full";
    case Finish::cancelled:
      return "stopped";
  }
  return "unknown";
}

Result<Session> Session::open(StepModel& model, const tokenize::Tokenizer& tokenizer, const Sampling& sampling) {
  QUOIN_CHECK(check(sampling));
  if (tokenizer.size() > model.vocabulary())
    return fail(Code::input, "the tokenizer has {} tokens, the model knows {}", tokenizer.size(), model.vocabulary())
        .hint("give the tokenizer that the model was trained with");
  return Session(model, tokenizer, sampling);
}

// The tokens to read: what was written last and not read yet, and the text.
Result<std::vector<int64_t>> Session::prompt(std::string_view text) const {
  const bool first = position_ == 0 && !last_;
  QUOIN_TRY(std::vector<int64_t> out, tokenizer_->encode(text, first));
  if (last_) out.insert(out.begin(), *last_);
  if (out.empty()) return fail(Code::input, "the prompt has no tokens").hint("give a text to go on from");
  const int64_t left = model_->context() - position_;
  if (static_cast<int64_t>(out.size()) > left)
    return fail(Code::input, "the prompt has {} tokens, the context of {} has room for {}", out.size(),
                model_->context(), left)
        .hint("shorten it, or make the program with a larger model.language.context");
  return out;
}

Result<std::optional<Tensor>> Session::read(std::span<const int64_t> tokens, const Listener& listener) {
  std::optional<Tensor> logits;
  while (!tokens.empty()) {
    if (!listener({})) return std::optional<Tensor>();
    const auto part = tokens.first(std::min(tokens.size(), static_cast<size_t>(model_->chunk())));
    QUOIN_TRY(logits, model_->read(part, position_));
    for (const int64_t token : part) sampler_.saw(token);
    position_ += static_cast<int64_t>(part.size());
    tokens = tokens.subspan(part.size());
  }
  return logits;
}

std::optional<Finish> Session::finished(int64_t token, const Limits& limits, const Outcome& out) const {
  const std::vector<int64_t>& stops = tokenizer_->stop();
  if (!limits.ignore_eos && std::ranges::find(stops, token) != stops.end()) return Finish::stop_token;
  if (static_cast<int64_t>(out.tokens.size()) == limits.max_tokens) return Finish::max_tokens;
  if (position_ == model_->context()) return Finish::context;
  return std::nullopt;
}

Status Session::write(Tensor logits, const Limits& limits, const Listener& listener, tokenize::Stream& stream,
                      Outcome& out) {
  StopStrings stops(limits.stop);
  bool wanted = true;
  const auto show = [&](const std::string& text) {
    out.text += text;
    wanted = text.empty() ? wanted : listener(text);
  };
  // The model may have been given rows that no token has: only tokens that can be read and shown are chosen.
  const auto tokens = static_cast<size_t>(tokenizer_->size());
  std::optional<Finish> end;
  while (!end) {
    QUOIN_TRY(const int64_t token, sampler_.next(logits.as<float>().first(tokens)));
    out.tokens.push_back(token);
    last_ = token;
    end = finished(token, limits, out);
    if (end != Finish::stop_token) {
      QUOIN_TRY(const std::string text, stream.push(token));
      show(stops.push(text));
    }
    if (stops.found()) end = Finish::stop_string;
    if (!wanted || !listener({})) end = end.value_or(Finish::cancelled);
    if (end) break;
    QUOIN_TRY(logits, model_->read(std::span(&token, 1), position_));
    sampler_.saw(token);
    ++position_;
  }
  show(stops.push(stream.finish()) + stops.finish());
  out.finish = *end;
  return {};
}

Result<Outcome> Session::generate(std::string_view text, const Limits& limits, const Listener& listener) {
  for (const std::string& stop : limits.stop)
    if (stop.empty()) return fail(Code::usage, "a stop text is empty");
  if (limits.max_tokens < 0) return fail(Code::usage, "max tokens must be at least 0, found {}", limits.max_tokens);
  QUOIN_TRY(const std::vector<int64_t> tokens, prompt(text));
  last_.reset();
  Outcome out;
  const auto begin = Clock::now();
  const int64_t before = position_;
  QUOIN_TRY(const std::optional<Tensor> logits, read(tokens, listener));
  out.statistics.prompt_tokens = position_ - before;
  out.statistics.prompt_seconds = seconds_since(begin);
  out.finish = Finish::cancelled;
  if (!logits) return out;

  tokenize::Stream stream(*tokenizer_);
  for (const int64_t token : tokens) QUOIN_CHECK(stream.push(token));  // shown already; the next text goes on from it
  out.statistics.first_seconds = seconds_since(begin);
  const auto start = Clock::now();
  QUOIN_CHECK(write(*logits, limits, listener, stream, out));
  out.statistics.decode_seconds = seconds_since(start);
  out.statistics.new_tokens = static_cast<int64_t>(out.tokens.size());
  return out;
}

}  // namespace quoin::generate
