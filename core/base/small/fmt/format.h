// What the runtime uses of {fmt}, in a hundred lines: {fmt} alone has more bytes than the rest of the runtime. For
// builds with -Druntime_only=true, where this folder stands in for {fmt}'s. Knows {} and {:#x}; patterns are checked
// where {fmt} compiles the same code, so that neither their lengths nor the numbers of their arguments are passed here.
#ifndef QUOIN_FORMAT_H_
#define QUOIN_FORMAT_H_

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

class Arg {
 public:
  Arg(bool value) : Arg(value ? "true" : "false") {}
  Arg(char value) : integer_(static_cast<unsigned char>(value)), tag_(kCharacter) {}
  Arg(double value) : number_(value), tag_(kNumber) {}
  Arg(const char* text);
  Arg(std::string_view text) : text_(text.data()), tag_(text.size()) {}
  Arg(const std::string& text) : text_(text.data()), tag_(text.size()) {}
  template <class T>
  requires std::is_integral_v<T> Arg(T value)
      : integer_(static_cast<uint64_t>(value)), tag_(std::is_signed_v<T> ? kInteger : kNatural) {}
  void append_to(std::string& out, bool hex) const;

 private:
  enum : uint64_t { kCharacter = ~uint64_t{3}, kNatural, kInteger, kNumber };
  union {
    const char* text_;
    uint64_t integer_;
    double number_;
  };
  uint64_t tag_;  // the size of a text, or one of the tags
};

using format_args = const Arg*;

template <size_t kCount>
struct ArgStore {
  Arg args[kCount];
  operator format_args() const { return args; }
};
template <>
struct ArgStore<0> {
  operator format_args() const { return nullptr; }
};
template <class... Args>
ArgStore<sizeof...(Args)> make_format_args(const Args&... args) {
  return {Arg(args)...};
}

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
    Arg(item).append_to(out, false);
  }
  return out;
}

}  // namespace fmt
#endif  // QUOIN_FORMAT_H_
