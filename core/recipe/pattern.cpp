#include "recipe/pattern.hpp"

#include <re2/re2.h>

namespace quoin::recipe {
namespace {

constexpr std::string_view kRegex = "re:", kWildcards = "*?";
constexpr size_t kMaxPattern = 4096;     // bytes of a regular expression
constexpr int64_t kMaxMemory = 1 << 20;  // bytes of its compiled form and caches

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Result<Pattern> Pattern::parse(std::string_view text) {
  Pattern out;
  if (!text.starts_with(kRegex)) {
    out.text_ = text;
    out.kind_ = text.find_first_of(kWildcards) == std::string_view::npos ? Kind::exact : Kind::glob;
    return out;
  }
  out.text_ = text.substr(kRegex.size());
  out.kind_ = Kind::regex;
  if (out.text_.size() > kMaxPattern)
    return fail(Code::recipe, "the regular expression has {} bytes, the limit is {}", out.text_.size(), kMaxPattern);
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  options.set_never_capture(true);
  const auto regex = std::make_shared<const re2::RE2>(out.text_, options);
  if (!regex->ok())
    return fail(Code::recipe, "the regular expression \"{}\" is not valid: {}", out.text_, regex->error())
        .hint("the syntax is that of RE2: https://github.com/google/re2/wiki/Syntax");
  out.regex_ = regex;
  return out;
}

bool Pattern::matches(std::string_view name) const {
  if (kind_ == Kind::exact) return name == text_;
  if (kind_ == Kind::glob) return glob_match(text_, name);
  return re2::RE2::FullMatch(re2::StringPiece(name.data(), name.size()), *regex_);
}

size_t Pattern::literal() const {
  return kind_ == Kind::regex ? 0 : std::min(text_.find_first_of(kWildcards), text_.size());
}

}  // namespace quoin::recipe
