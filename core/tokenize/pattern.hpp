// What a component of tokenizer.json looks for: {"String": ...} or {"Regex": ...}.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tokenize/component.hpp"
#include "tokenize/unicode.hpp"

namespace quoin::tokenize {

class Pattern {
 public:
  static Result<Pattern> read(const Place& from);
  static Pattern literal(std::string text);
  // Parts of `text` that match, from left to right, none of them empty.
  Result<std::vector<Range>> matches(std::string_view text) const;
  Result<std::string> replace(std::string_view text, std::string_view by) const;

 private:
  std::string text_;
  std::optional<Regex> regex_;
};

}  // namespace quoin::tokenize
