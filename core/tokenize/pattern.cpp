#include "tokenize/pattern.hpp"

namespace quoin::tokenize {

Result<Pattern> Pattern::read(const Place& from) {
  Pattern out;
  if (const Place text = from["String"]; !text.is_null()) {
    QUOIN_TRY(out.text_, text.text());
    return out;
  }
  const Place regex = from["Regex"];
  if (regex.is_null()) return from.expected("a String or a Regex");
  QUOIN_TRY(const std::string expression, regex.text());
  QUOIN_TRY(out.regex_, Regex::compile(expression, regex.where()));
  return out;
}

Pattern Pattern::literal(std::string text) {
  Pattern out;
  out.text_ = std::move(text);
  return out;
}

Result<std::vector<Range>> Pattern::matches(std::string_view text) const {
  if (regex_) return regex_->matches(text);
  std::vector<Range> out;
  if (text_.empty()) return out;
  for (size_t at = text.find(text_); at != std::string_view::npos; at = text.find(text_, at + text_.size()))
    out.push_back({at, at + text_.size()});
  return out;
}

Result<std::string> Pattern::replace(std::string_view text, std::string_view by) const {
  QUOIN_TRY(const std::vector<Range> found, matches(text));
  std::string out;
  size_t at = 0;
  for (const Range& range : found) {
    out += text.substr(at, range.begin - at);
    out += by;
    at = range.end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace quoin::tokenize
