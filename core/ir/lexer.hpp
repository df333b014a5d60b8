// Tokens of the graph text, with one token of lookahead.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace quoin::ir {

struct Token {
  enum class Kind { end, word, text, mark } kind = Kind::end;
  std::string_view text;  // of strings: between the quotes, escapes not resolved
  size_t at = 0;          // byte offset of its first character
};

// Borrows the text. Never fails: a character that belongs to no token is a mark, which no rule expects, and a string
// without its closing quote ends the text.
class Lexer {
 public:
  Lexer(std::string_view text, std::string name);

  const Token& peek() const { return token_; }
  Token take();
  bool next_is(char mark) const { return token_.kind == Token::Kind::mark && token_.text[0] == mark; }
  bool next_is(std::string_view word) const { return token_.kind == Token::Kind::word && token_.text == word; }
  // Takes the token if it is this one.
  bool accept(char mark);
  bool accept(std::string_view word);

  Status expect(char mark);
  Status expect(std::string_view word);
  Result<std::string_view> word(std::string_view what);  // "expected <what>, found ..."
  Result<std::string> string(std::string_view what);
  Result<std::string> name(std::string_view what);  // a word or a string, not empty

  // An error (model) at a token, with line and column.
  Error error(const Token& token, std::string what, std::string hint = {}) const;
  Error unexpected(std::string_view expected) const;
  std::string place(const Token& token) const;  // "name:line:column"

 private:
  void skip_blank();
  Token read();

  std::string_view text_;
  std::string name_;
  size_t position_ = 0;
  Token token_;
};

}  // namespace quoin::ir
