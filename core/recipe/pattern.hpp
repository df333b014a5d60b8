// Texts that select names: one name, a name with wildcards, or a regular expression. The only place that knows RE2.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace re2 {
class RE2;
}

namespace quoin::recipe {

// '*' matches any characters, '?' one; all others themselves.
bool glob_match(std::string_view pattern, std::string_view text);

// "re:" starts a regular expression (syntax of RE2, linear in the text) that the whole name must match; a text with '*'
// or '?' is a glob; any other is the name itself. Copies share the compiled form; matching is thread safe.
class Pattern {
 public:
  enum class Kind { regex, glob, exact };  // from the least to the most specific

  // Errors (recipe): the regular expression is not valid (RE2's words), too long or too large.
  static Result<Pattern> parse(std::string_view text);

  bool matches(std::string_view name) const;
  Kind kind() const { return kind_; }
  // Characters before the first wildcard; 0 for a regular expression.
  size_t literal() const;

 private:
  std::string text_;  // without "re:"
  Kind kind_ = Kind::exact;
  std::shared_ptr<const re2::RE2> regex_;
};

}  // namespace quoin::recipe
