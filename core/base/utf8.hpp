// Well-formed UTF-8, as RFC 3629 defines it.
#pragma once

#include <cstddef>
#include <string_view>

namespace quoin {

// Bytes of the character at the start of `text`; 0 where none is: overlong forms, surrogates, what lies above U+10FFFF.
inline size_t utf8_character(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return at(i) >= low && at(i) <= high;
  };
  const unsigned first = at(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// The same for terminals and documents: control characters are none.
inline size_t printable_character(std::string_view text) {
  const bool control = !text.empty() && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f);
  return control ? 0 : utf8_character(text);
}

inline bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = utf8_character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace quoin
