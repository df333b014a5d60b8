#include "tokenize/normalizer.hpp"

#include <array>

#include "tokenize/byte_level.hpp"
#include "tokenize/pattern.hpp"
#include "tokenize/unicode.hpp"

namespace quoin::tokenize {
namespace {

using Step = std::function<Result<std::string>(std::string)>;

template <Form form>
Result<Step> normal_form(const Place&) {
  return Step([](const std::string& text) { return normalize(form, text); });
}

// A step that makes something of every character by itself.
template <class Visit>
Step by_character(Visit visit) {
  return [visit](const std::string& text) -> Result<std::string> {
    std::string out;
    for (std::string_view rest = text; !rest.empty();) visit(out, take_character(rest));
    return out;
  };
}

Result<Step> lowercase(const Place&) { return by_character(append_lower); }

Result<Step> strip_accents(const Place&) {
  return by_character([](std::string& out, char32_t c) {
    if (!is_mark(c)) append_character(out, c);
  });
}

Result<Step> prepend(const Place& from) {
  QUOIN_TRY(const std::string prefix, from["prepend"].text());
  return Step([prefix](const std::string& text) -> Result<std::string> { return text.empty() ? text : prefix + text; });
}

Result<Step> replace(const Place& from) {
  QUOIN_TRY(const Pattern pattern, Pattern::read(from["pattern"]));
  QUOIN_TRY(const std::string content, from["content"].text());
  return Step([pattern, content](const std::string& text) { return pattern.replace(text, content); });
}

Result<Step> strip(const Place& from) {
  QUOIN_TRY(const bool left, from["strip_left"].flag());
  QUOIN_TRY(const bool right, from["strip_right"].flag());
  return Step([left, right](const std::string& text) -> Result<std::string> {
    size_t begin = text.size(), end = 0;  // of what is no whitespace
    for (std::string_view rest = text; !rest.empty();) {
      const size_t at = text.size() - rest.size();
      if (is_space(take_character(rest))) continue;
      begin = std::min(begin, at);
      end = text.size() - rest.size();
    }
    if (end == 0) return left || right ? std::string() : text;
    return text.substr(left ? begin : 0, (right ? end : text.size()) - (left ? begin : 0));
  });
}

Result<Step> byte_level(const Place&) {
  return Step([](const std::string& text) -> Result<std::string> { return to_byte_level(text); });
}

struct Row {
  std::string_view type;
  Result<Step> (*make)(const Place&);
};
constexpr std::array kRows = {
    Row{"NFC", normal_form<Form::nfc>},
    Row{"NFD", normal_form<Form::nfd>},
    Row{"NFKC", normal_form<Form::nfkc>},
    Row{"NFKD", normal_form<Form::nfkd>},
    Row{"Lowercase", lowercase},
    Row{"StripAccents", strip_accents},
    Row{"Prepend", prepend},
    Row{"Replace", replace},
    Row{"Strip", strip},
    Row{"ByteLevel", byte_level},
};

}  // namespace

Result<Normalizer> Normalizer::read(const Place& from) {
  Normalizer out;
  if (!from.is_null()) QUOIN_CHECK(add_steps(from, "normalizer", "normalizers", kRows, out.steps_));
  return out;
}

Result<std::string> Normalizer::apply(std::string text) const {
  for (const Step& step : steps_) {
    QUOIN_TRY(text, step(std::move(text)));
  }
  return text;
}

}  // namespace quoin::tokenize
