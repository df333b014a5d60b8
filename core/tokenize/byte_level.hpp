// GPT-2's alphabet: every byte as one printable character, so that tokens are texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quoin::tokenize {

std::string to_byte_level(std::string_view bytes);
// The bytes; nothing if a character stands for none.
std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace quoin::tokenize
