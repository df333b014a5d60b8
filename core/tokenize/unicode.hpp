// Unicode by ICU, which stays behind this header: properties of characters, normal forms, regular expressions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace quoin::tokenize {

// The first character of UTF-8 text; the text loses it. Precondition: `text` is UTF-8 and not empty.
char32_t take_character(std::string_view& text);
void append_character(std::string& text, char32_t character);

bool is_space(char32_t character);                         // White_Space
bool is_word(char32_t character);                          // letters, marks, decimal digits, connectors and joiners: \w
bool is_numeric(char32_t character);                       // general category N
bool is_punctuation(char32_t character);                   // general category P, or one of ASCII
bool is_mark(char32_t character);                          // general category M
void append_lower(std::string& text, char32_t character);  // without regard to its neighbours

enum class Form { nfc, nfd, nfkc, nfkd };
Result<std::string> normalize(Form form, std::string_view text);

// A part of a text, in bytes.
struct Range {
  size_t begin = 0, end = 0;
};

// Syntax: ICU's, which has Unicode properties and lookaround. Copies share the pattern; thread safe.
class Regex {
 public:
  // Errors (unsupported): what is wrong with the pattern.
  static Result<Regex> compile(std::string_view pattern, const std::string& where);
  // Matches from left to right that are not empty. Errors (limit): a pattern that takes more than some 10 seconds or
  // too much memory for this text.
  Result<std::vector<Range>> matches(std::string_view text) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace quoin::tokenize
