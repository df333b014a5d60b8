// Small text helpers shared by messages: "did you mean", lists.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quoin {

// The candidate with the smallest edit distance to `name`, or "" if none is close (over half of its length differs).
std::string nearest(std::string_view name, std::span<const std::string> candidates);
// `did you mean "x"?`, or "" when nothing is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);
std::string join(std::span<const std::string> parts, std::string_view separator);
// A SHA-256 digest in lower case; nothing for what is not 64 hex digits.
std::optional<std::string> sha256_digits(std::string_view text);
// For a POSIX shell: as it is where nothing in it is special, else in single quotes.
std::string shell_word(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace quoin
