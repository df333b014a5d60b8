// Small helpers for UTF-8 text that tokenizers share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/utf8.hpp"

namespace quoin::tokenize {

// For looking up views in maps of texts.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the first character, by what its first byte claims; of text that is not UTF-8 it is some length that exists.
inline size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return std::min(size, text.size());
}

inline std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t found = from.empty() ? std::string_view::npos : text.find(from, at);
    out += text.substr(at, found == std::string_view::npos ? found : found - at);
    if (found == std::string_view::npos) break;
    out += to;
    at = found + from.size();
  }
  return out;
}

// Every byte that belongs to no character becomes U+FFFD.
inline std::string replace_bad_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = utf8_character(text);
    out += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

// Bytes at the start of `text` that begin a character without ending it; 1 where none begins.
inline size_t begun(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  const size_t size = first < 0xc2 || first > 0xf4 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (size < 3 || text.size() < 2 || at(1) < low || at(1) > high) return 1;
  return size == 4 && text.size() > 2 && at(2) >= 0x80 && at(2) <= 0xbf ? 3 : 2;
}

// As replace_bad_bytes(), but bytes that begin a character together become one U+FFFD.
inline std::string replace_bad_runs(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = utf8_character(text);
    out += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(size == 0 ? begun(text) : size);
  }
  return out;
}

// Bytes at the end of `text` that may become a character: 0 to 3.
inline size_t unfinished(std::string_view text) {
  for (size_t size = std::min<size_t>(text.size(), 3); size > 0; --size) {
    const std::string_view tail = text.substr(text.size() - size);
    const auto first = static_cast<unsigned char>(tail.front());
    const bool longer = first >= 0xc2 && first <= 0xf4 && (first >= 0xf0 ? 4u : first >= 0xe0 ? 3u : 2u) > size;
    if (longer && begun(tail) == size) return size;
  }
  return 0;
}

// The byte of a token like <0x0A>.
inline std::optional<unsigned char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  const int high = digit(token[3]), low = digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(high * 16 + low);
}

}  // namespace quoin::tokenize
