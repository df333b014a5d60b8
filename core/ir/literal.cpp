#include "ir/literal.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace quoin::ir {
namespace {

constexpr uint64_t kPlainNan = 0x7ff8000000000000;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Value of each base64 character, -1 for all others.
constexpr std::array<int8_t, 256> kSextet = [] {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return table;
}();

template <class T, class... Format>
std::optional<T> read_whole(std::string_view word, Format... format) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, format...);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// from_chars also takes "nan(...)", "infinity" and the like, which have one spelling here.
bool is_decimal(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789+-.e") == std::string_view::npos;
}

template <class T>
std::string list_text(const std::vector<T>& items) {
  std::string out = "[";
  for (const T& item : items) {
    if (out.size() > 1) out += ", ";
    out += attr_text(item);
  }
  return out + "]";
}

}  // namespace

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.+-/").find(c) != std::string_view::npos;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::optional<std::string> unquoted(std::string_view body) {
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    const char kind = ++i < body.size() ? body[i] : '\0';
    if (kind == '"' || kind == '\\') {
      out += kind;
    } else if (kind == 'x' && i + 2 < body.size()) {
      const auto value = read_whole<uint8_t>(body.substr(i + 1, 2), 16);
      if (!value) return std::nullopt;
      out += static_cast<char>(*value);
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string name_text(std::string_view name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), is_word_char);
  return plain ? std::string(name) : quoted(name);
}

std::string number_text(double value) {
  if (std::isnan(value)) {
    const auto bits = std::bit_cast<uint64_t>(value);
    return bits == kPlainNan ? "nan" : fmt::format("nan({:016x})", bits);
  }
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string number_text(float value) { return fmt::format("{}", value); }

std::string attr_text(const Attr& attr) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>)
          return value ? "true" : "false";
        else if constexpr (std::is_same_v<T, int64_t>)
          return fmt::format("{}", value);
        else if constexpr (std::is_same_v<T, double>)
          return number_text(value);
        else if constexpr (std::is_same_v<T, std::string>)
          return quoted(value);
        else
          return list_text(value);
      },
      attr);
}

std::optional<int64_t> read_integer(std::string_view word) { return read_whole<int64_t>(word, 10); }

std::optional<int32_t> read_small(std::string_view word) { return read_whole<int32_t>(word, 10); }

std::optional<uint64_t> read_unsigned(std::string_view word) { return read_whole<uint64_t>(word, 10); }

std::optional<double> read_double(std::string_view word, std::string_view bits) {
  if (word == "nan") {
    const std::optional<uint64_t> payload = bits.empty() ? kPlainNan : read_hex(bits);
    if (!payload || !std::isnan(std::bit_cast<double>(*payload))) return std::nullopt;
    return std::bit_cast<double>(*payload);
  }
  if (word == "inf") return std::numeric_limits<double>::infinity();
  if (word == "-inf") return -std::numeric_limits<double>::infinity();
  return is_decimal(word) ? read_whole<double>(word) : std::nullopt;
}

std::optional<float> read_float(std::string_view word) {
  return is_decimal(word) ? read_whole<float>(word) : std::nullopt;
}

std::optional<uint64_t> read_hex(std::string_view word) {
  return word.size() > 16 ? std::nullopt : read_whole<uint64_t>(word, 16);
}

std::string base64(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t triple = 0;
    for (size_t j = 0; j < 3; ++j) triple = triple << 8 | (j < count ? std::to_integer<uint32_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += j <= count ? kAlphabet[triple >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::optional<std::vector<std::byte>> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::vector<std::byte> out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const size_t count = i + 4 == text.size() ? 4 - padding : 4;  // characters that carry bits
    uint32_t quad = 0;
    for (size_t j = 0; j < 4; ++j) {
      const int8_t sextet = j < count ? kSextet[static_cast<uint8_t>(text[i + j])] : int8_t{0};
      if (sextet < 0) return std::nullopt;
      quad = quad << 6 | static_cast<uint32_t>(sextet);
    }
    if ((quad & ((1u << (8 * (4 - count))) - 1)) != 0) return std::nullopt;  // bits that no byte gets
    for (size_t j = 0; j + 1 < count; ++j) out.push_back(static_cast<std::byte>(quad >> (16 - 8 * j) & 255));
  }
  return out;
}

}  // namespace quoin::ir
