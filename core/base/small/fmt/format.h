// What the runtime uses of {fmt}, in a hundred lines: {fmt} alone has more bytes than the rest of the runtime. For
// builds with -Druntime_only=true, where this folder stands in for {fmt}'s. Knows {} and {:#x}; patterns are checked
// where {fmt} compiles the same code, so that neither their lengths nor the numbers of their arguments are passed here.
#ifndef QUOIN_FORMAT_H_
#define QUOIN_FORMAT_H_
#define QUOIN_SMALL_FORMAT

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace fmt {

// A literal: ends with a zero.
struct string_view {
  const char* pattern;
  consteval string_view(const char* literal) : pattern(literal) {}
};
template <class...>
using format_string = string_view;

// Every argument is one word, a number or an address of what outlives the call; what each of them is stands beside them
// in one number, three bits for each, the first one lowest; zeros are behind the last.
enum Tag : uint32_t { kNatural = 1, kInteger, kReal, kCharacter, kLiteral, kText, kString };
template <class T>
constexpr Tag tag_of() {
  if constexpr (std::is_same_v<T, bool> || std::is_convertible_v<T, const char*>) return kLiteral;
  if constexpr (std::is_same_v<T, std::string_view>) return kText;
  if constexpr (std::is_same_v<T, std::string>) return kString;
  if constexpr (std::is_same_v<T, char>) return kCharacter;
  if constexpr (std::is_floating_point_v<T>) return kReal;
  return std::is_signed_v<T> ? kInteger : kNatural;
}
template <class... Args>
constexpr uint32_t tags_of() {
  static_assert(sizeof...(Args) <= 9, "three bits each, in a word with five to spare");
  uint32_t out = 0, shift = 0;
  ((out |= uint32_t{tag_of<Args>()} << shift, shift += 3), ...);
  return out;
}
template <class... Args>
inline constexpr uint32_t tags = tags_of<std::decay_t<Args>...>();

inline uint64_t word(const char* text) { return reinterpret_cast<uintptr_t>(text); }
inline uint64_t word(bool value) { return word(value ? "true" : "false"); }
inline uint64_t word(const std::string_view& text) { return reinterpret_cast<uintptr_t>(&text); }
inline uint64_t word(const std::string& text) { return reinterpret_cast<uintptr_t>(&text); }
inline uint64_t word(double number) { return std::bit_cast<uint64_t>(number); }
template <class T>
requires std::is_integral_v<T> uint64_t word(T number) { return static_cast<uint64_t>(number); }

struct format_args {
  uint32_t tags;
  const uint64_t* words;
};
template <uint32_t kTags, size_t kCount>
struct ArgStore {
  uint64_t words[kCount == 0 ? 1 : kCount];
  operator format_args() const { return {kTags, words}; }
};
template <class... Args>
ArgStore<tags<Args...>, sizeof...(Args)> make_format_args(const Args&... args) {
  return {{word(args)...}};
}

// Returns how many characters it wrote, at most `room`.
size_t write(char* to, size_t room, const char* pattern, format_args args);
// Of a text more than a thousand characters are not needed.
std::string vformat(string_view format, format_args args);
template <class... Args>
std::string format(string_view format, const Args&... args) {
  return vformat(format, make_format_args(args...));
}
template <class List>
std::string join(const List& list, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& item : list) {
    if (!first) out += separator;
    first = false;
    out += format("{}", item);
  }
  return out;
}

}  // namespace fmt
#endif  // QUOIN_FORMAT_H_
