// Errors for code that devices run: no heap memory, nothing to move or free.
#pragma once

#include "base/result.hpp"

namespace quoin {

// What went wrong, where and what to do: the parts of an Error, in a buffer that belongs to whoever called the
// outermost function. A function that can fail returns bool and has a Fault at hand: `return fault.fail(...)` says what
// is wrong, `return fault.at("node {}", i)` in its callers where; all of these are false. What does not fit is cut.
class Fault {
 public:
#ifdef QUOIN_SMALL_FORMAT  // arguments in registers: there are hundreds of these calls
  template <class... Args>
  bool fail(Code code, fmt::string_view format, const Args&... args) {
    say(static_cast<uint32_t>(code) | fmt::tags<Args...> << kCodeBits, format.pattern, fmt::word(args)...);
    return false;
  }
  template <class... Args>
  bool at(fmt::string_view format, const Args&... args) {
    say(kPlace | fmt::tags<Args...> << kCodeBits, format.pattern, fmt::word(args)...);
    return false;
  }
#else
  template <class... Args>
  bool fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
    say(static_cast<uint32_t>(code), format, fmt::make_format_args(args...));
    return false;
  }
  // Puts a place in front of the places it has: "outer: inner".
  template <class... Args>
  bool at(fmt::format_string<Args...> format, Args&&... args) {
    say(kPlace, format, fmt::make_format_args(args...));
    return false;
  }
#endif
  // What to do, behind what is there.
  bool hint(std::string_view text) {
    add_hint(text);
    return false;
  }
  void add_to_hint(std::string_view text);
  void drop_places();             // for whoever knows a better one
  bool take(const Error& error);  // the parts of an error of code that allocates

  Code code() const { return code_; }
  void set_code(Code code) { code_ = code; }
  std::string_view where() const { return {text_, where_}; }
  std::string_view what() const { return {text_ + where_, what_}; }
  std::string_view hint() const { return {text_ + where_ + what_, hint_}; }
  // "where: what; hint", cut between characters; returns its size.
  size_t text(char* to, size_t room) const;
  Failure failure() const;

 private:
#ifdef QUOIN_SMALL_FORMAT
  static constexpr size_t kRoom = 960;
  static constexpr int kCodeBits = 5;  // of the first argument; the tags of the others follow
  void say(uint32_t code_and_tags, const char* pattern, ...);
#else
  static constexpr size_t kRoom = 8192;
  void say(uint32_t code, fmt::string_view format, fmt::format_args args);
#endif
  static constexpr uint32_t kPlace = 0;  // in the place of a code
  void put(uint32_t code, std::string_view text);
  void add_hint(std::string_view text);
  size_t insert(size_t at, std::string_view text);

  Code code_ = Code::internal;
  uint16_t where_ = 0, what_ = 0, hint_ = 0;  // bytes of each
  char text_[kRoom];                          // where, what, hint, without anything between them
};

}  // namespace quoin
