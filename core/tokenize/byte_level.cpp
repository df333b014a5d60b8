#include "tokenize/byte_level.hpp"

#include <array>

#include "base/utf8.hpp"

namespace quoin::tokenize {
namespace {

// Printable bytes of Latin-1 are themselves; the others, in order, are U+0100 and up.
constexpr bool is_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<uint16_t, 256> characters() {
  std::array<uint16_t, 256> out{};
  uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) out[byte] = is_itself(byte) ? static_cast<uint16_t>(byte) : next++;
  return out;
}
constexpr std::array<uint16_t, 256> kCharacters = characters();

constexpr std::array<int16_t, 0x144> bytes() {
  std::array<int16_t, 0x144> out{};
  for (int16_t& value : out) value = -1;
  for (unsigned byte = 0; byte < 256; ++byte) out[kCharacters[byte]] = static_cast<int16_t>(byte);
  return out;
}
constexpr std::array<int16_t, 0x144> kBytes = bytes();

}  // namespace

std::string to_byte_level(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const uint16_t character = kCharacters[static_cast<unsigned char>(c)];
    if (character < 0x80) {
      out += static_cast<char>(character);
    } else {
      out += static_cast<char>(0xc0 | (character >> 6));
      out += static_cast<char>(0x80 | (character & 0x3f));
    }
  }
  return out;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = utf8_character(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (size == 0 || size > 2) return std::nullopt;
    const size_t character =
        size == 1 ? first : (size_t{first & 0x1fu} << 6) | (static_cast<unsigned char>(text[1]) & 0x3fu);
    if (character >= kBytes.size() || kBytes[character] < 0) return std::nullopt;
    out += static_cast<char>(kBytes[character]);
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace quoin::tokenize
