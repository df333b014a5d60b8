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
// `text` in lower case if it is made of exactly `digits` hex digits.
std::optional<std::string> hex_digits(std::string_view text, size_t digits);
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace quoin
