// What the runtime uses of {fmt}, in a hundred lines: {fmt} alone has more bytes than the rest of the runtime. For
// builds with -Druntime_only=true, where this folder stands in for {fmt}'s. Knows {} and {:#x}; patterns are checked
// where {fmt} compiles the same code.
#ifndef QUOIN_FORMAT_H_
#define QUOIN_FORMAT_H_

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace fmt {

class Arg {
 public:
  Arg(bool value) : text_(value ? "true" : "false") {}
  Arg(char value) : kind_(Kind::character), integer_(static_cast<unsigned char>(value)) {}
  Arg(double value) : kind_(Kind::number), number_(value) {}
  Arg(const char* text) : text_(text) {}
  Arg(std::string_view text) : text_(text) {}
  Arg(const std::string& text) : text_(text) {}
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  Arg(T value)
      : kind_(std::is_signed_v<T> && value < T{} ? Kind::negative : Kind::integer),
        integer_(value < T{} ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value)) {}
  void append_to(std::string& out, bool hex) const;

 private:
  enum class Kind : uint8_t { text, character, integer, negative, number };
  Kind kind_ = Kind::text;
  uint64_t integer_ = 0;
  double number_ = 0;
  std::string_view text_;
};

template <class...>
using format_string = std::string_view;

std::string vformat(std::string_view pattern, std::span<const Arg> args);
template <class... Args>
std::string format(std::string_view pattern, const Args&... args) {
  if constexpr (sizeof...(Args) == 0)
    return vformat(pattern, {});
  else
    return vformat(pattern, std::initializer_list<Arg>{Arg(args)...});
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
