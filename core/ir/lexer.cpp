#include "ir/lexer.hpp"

#include <algorithm>

#include "ir/literal.hpp"

namespace quoin::ir {

Lexer::Lexer(std::string_view text, std::string name) : text_(text), name_(std::move(name)), token_(read()) {}

// Blanks, and comments from # to the end of the line.
void Lexer::skip_blank() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '#')
      position_ = std::min(text_.find('\n', position_), text_.size());
    else if (c == ' ' || c == '\n' || c == '\t' || c == '\r')
      ++position_;
    else
      return;
  }
}

Token Lexer::read() {
  skip_blank();
  const size_t begin = position_;
  if (begin == text_.size()) return {Token::Kind::end, {}, begin};
  if (text_[begin] == '"') {
    size_t end = begin + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) {
      position_ = text_.size();
      return {Token::Kind::mark, text_.substr(begin, 1), begin};
    }
    position_ = end + 1;
    return {Token::Kind::text, text_.substr(begin + 1, end - begin - 1), begin};
  }
  while (position_ < text_.size() && is_word_char(text_[position_])) ++position_;
  if (position_ > begin) return {Token::Kind::word, text_.substr(begin, position_ - begin), begin};
  return {Token::Kind::mark, text_.substr(position_++, 1), begin};
}

Token Lexer::take() {
  const Token taken = token_;
  token_ = read();
  return taken;
}

bool Lexer::accept(char mark) {
  if (!next_is(mark)) return false;
  take();
  return true;
}

bool Lexer::accept(std::string_view word) {
  if (!next_is(word)) return false;
  take();
  return true;
}

Status Lexer::expect(char mark) { return accept(mark) ? Status{} : fail(unexpected(fmt::format("\"{}\"", mark))); }

Status Lexer::expect(std::string_view word) {
  return accept(word) ? Status{} : fail(unexpected(fmt::format("\"{}\"", word)));
}

Result<std::string_view> Lexer::word(std::string_view what) {
  if (token_.kind != Token::Kind::word) return fail(unexpected(what));
  return take().text;
}

Result<std::string> Lexer::string(std::string_view what) {
  if (token_.kind != Token::Kind::text) return fail(unexpected(what));
  const Token token = take();
  auto text = unquoted(token.text);
  if (!text) return fail(error(token, "unknown escape in a string", R"(use \", \\ and \xNN)"));
  return *std::move(text);
}

Result<std::string> Lexer::name(std::string_view what) {
  const Token token = token_;
  if (token.kind == Token::Kind::word) return std::string(take().text);
  QUOIN_TRY(std::string text, string(what));
  if (text.empty()) return fail(error(token, fmt::format("expected {}, found an empty name", what)));
  return text;
}

std::string Lexer::place(const Token& token) const {
  const std::string_view before = text_.substr(0, token.at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n');
  return fmt::format("{}:{}:{}", name_, line, token.at - (start == std::string_view::npos ? 0 : start + 1) + 1);
}

Error Lexer::error(const Token& token, std::string what, std::string hint) const {
  return {Code::model, std::move(what), place(token), std::move(hint)};
}

Error Lexer::unexpected(std::string_view expected) const {
  constexpr size_t kShown = 40;
  const std::string found = token_.kind == Token::Kind::end ? "the end of the text"
                            : token_.text == "\""           ? "a string without end"
                                                            : quoted(token_.text.substr(0, kShown));
  return error(token_, fmt::format("expected {}, found {}", expected, found));
}

}  // namespace quoin::ir
