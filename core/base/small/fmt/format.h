// What the runtime uses of {fmt}, in a hundred lines: {fmt} alone has more bytes than the rest of the runtime. For
// builds with -Druntime_only=true, where this folder stands in for {fmt}'s. Knows {} and {:#x}; patterns are checked
// where {fmt} compiles the same code.
#ifndef QUOIN_FORMAT_H_
#define QUOIN_FORMAT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace fmt {

using std::string_view;

class Arg {
 public:
  Arg(bool value) : Arg(value ? string_view("true") : string_view("false")) {}
  Arg(char value) : integer_(static_cast<unsigned char>(value)), kind_(Kind::character) {}
  Arg(double value) : number_(value), kind_(Kind::number) {}
  Arg(const char* text) : Arg(string_view(text)) {}
  Arg(string_view text) : text_(text.data()), size_(text.size()), kind_(Kind::text) {}
  Arg(const std::string& text) : Arg(string_view(text)) {}
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  Arg(T value) : integer_(static_cast<uint64_t>(value)), kind_(std::is_signed_v<T> ? Kind::integer : Kind::natural) {}
  void append_to(std::string& out, bool hex) const;

 private:
  enum class Kind : uint8_t { text, character, natural, integer, number };
  union {
    const char* text_;
    uint64_t integer_;
    double number_;
  };
  size_t size_ = 0;  // of the text
  Kind kind_;
};

template <class...>
using format_string = string_view;
using format_args = std::span<const Arg>;

template <size_t kCount>
struct ArgStore {
  Arg args[kCount];
  operator format_args() const { return args; }
};
template <>
struct ArgStore<0> {
  operator format_args() const { return {}; }
};
template <class... Args>
ArgStore<sizeof...(Args)> make_format_args(const Args&... args) {
  return {Arg(args)...};
}

std::string vformat(string_view pattern, format_args args);
template <class... Args>
std::string format(string_view pattern, const Args&... args) {
  return vformat(pattern, make_format_args(args...));
}
template <class List>
std::string join(const List& list, string_view separator) {
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
