#include "tokenize/decoder.hpp"

#include <array>

#include "base/text.hpp"
#include "tokenize/byte_level.hpp"
#include "tokenize/metaspace.hpp"
#include "tokenize/pattern.hpp"
#include "tokenize/text.hpp"

namespace quoin::tokenize {
namespace {

using Step = std::function<void(std::vector<std::string>&, bool raw)>;

Result<Step> byte_level(const Place&) {
  return Step([](std::vector<std::string>& tokens, bool raw) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += from_byte_level(token).value_or(token);
    tokens = {raw ? bytes : replace_bad_runs(bytes)};
  });
}

// A run of byte tokens is a text, or as many U+FFFD as there are bytes.
Result<Step> byte_fallback(const Place&) {
  return Step([](std::vector<std::string>& tokens, bool raw) {
    std::vector<std::string> out;
    std::string run;
    const auto end_run = [&] {
      if (raw || valid_utf8(run)) {
        if (!run.empty()) out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), std::string(kReplacement));
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = fallback_byte(token)) {
        run += static_cast<char>(*byte);
        continue;
      }
      end_run();
      out.push_back(std::move(token));
    }
    end_run();
    tokens = std::move(out);
  });
}

Result<Step> fuse(const Place&) {
  return Step([](std::vector<std::string>& tokens, bool) { tokens = {join(tokens, "")}; });
}

// Up to `start` and `stop` times the content off both ends of every token.
Result<Step> strip(const Place& from) {
  QUOIN_TRY(const std::string content, from["content"].text());
  QUOIN_TRY(const int64_t start, from["start"].integer());
  QUOIN_TRY(const int64_t stop, from["stop"].integer());
  if (content.empty()) return from["content"].expected("a character");
  return Step([content, start, stop](std::vector<std::string>& tokens, bool) {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (int64_t i = 0; i < start && rest.starts_with(content); ++i) rest.remove_prefix(content.size());
      for (int64_t i = 0; i < stop && rest.ends_with(content); ++i) rest.remove_suffix(content.size());
      token = std::string(rest);
    }
  });
}

// Of literal texts only: bytes that are no character yet must pass.
Result<Step> replace(const Place& from) {
  const Place pattern = from["pattern"]["String"];
  if (pattern.is_null()) return from.unsupported("the decoder Replace with a regular expression");
  QUOIN_TRY(const std::string text, pattern.text());
  QUOIN_TRY(const std::string content, from["content"].text());
  return Step([text, content](std::vector<std::string>& tokens, bool) {
    for (std::string& token : tokens) token = replace_all(token, text, content);
  });
}

Result<Step> metaspace(const Place& from) {
  QUOIN_TRY(const Metaspace options, Metaspace::read(from));
  return Step([options](std::vector<std::string>& tokens, bool) {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_all(tokens[i], options.replacement, i == 0 && options.prepend != Metaspace::never ? "" : " ");
  });
}

struct Row {
  std::string_view type;
  Result<Step> (*make)(const Place&);
};
constexpr std::array kRows = {
    Row{"ByteLevel", byte_level}, Row{"ByteFallback", byte_fallback}, Row{"Fuse", fuse}, Row{"Strip", strip},
    Row{"Replace", replace},      Row{"Metaspace", metaspace},
};

}  // namespace

Result<Decoder> Decoder::read(const Place& from) {
  Decoder out;
  out.spaces_ = from.is_null();
  if (!from.is_null()) QUOIN_CHECK(add_steps(from, "decoder", "decoders", kRows, out.steps_));
  return out;
}

std::string Decoder::apply(std::vector<std::string> tokens, bool raw) const {
  for (const Step& step : steps_) step(tokens, raw);
  return join(tokens, spaces_ ? " " : "");
}

}  // namespace quoin::tokenize
