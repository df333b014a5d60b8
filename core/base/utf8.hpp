// Well-formed UTF-8, as RFC 3629 defines it.
#pragma once

#include <cstddef>
#include <string_view>

namespace quoin {

// Bytes of the character at the start of `text`; 0 where none is: overlong forms, surrogates, what lies above U+10FFFF.
inline size_t utf8_character(std::string_view text) {
  // First bytes from `first` on, up to those of the next row, need a second byte in a range; what follows is a
  // continuation.
  struct Row {
    unsigned char first, size, low, high;
  };
  static constexpr Row kRows[] = {{0x00, 1, 0, 0},       {0x80, 0, 0, 0},       {0xc2, 2, 0x80, 0xbf},
                                  {0xe0, 3, 0xa0, 0xbf}, {0xe1, 3, 0x80, 0xbf}, {0xed, 3, 0x80, 0x9f},
                                  {0xee, 3, 0x80, 0xbf}, {0xf0, 4, 0x90, 0xbf}, {0xf1, 4, 0x80, 0xbf},
                                  {0xf4, 4, 0x80, 0x8f}, {0xf5, 0, 0, 0}};
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const Row* row = kRows;
  for (const Row& next : kRows)
    if (next.first <= at(0)) row = &next;
  if (row->size > text.size()) return 0;
  if (row->size > 1 && (at(1) < row->low || at(1) > row->high)) return 0;
  for (size_t i = 2; i < row->size; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  return row->size;
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

// At most `room` bytes of `text`, cut between characters.
inline size_t cut_size(std::string_view text, size_t room) {
  if (text.size() <= room) return text.size();
  while (room > 0 && (static_cast<unsigned char>(text[room]) & 0xc0) == 0x80) --room;
  return room;
}

}  // namespace quoin
