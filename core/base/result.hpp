// Errors as values: every fallible function in core returns Result<T>; nothing throws across a module border.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quoin {

// The kind of a failure. Its value is the exit code of the `quoin` command (docs/exit_codes.md); never renumbered.
enum class Code : int {
  internal = 1,          // a bug in Quoin
  usage = 2,             // wrong command line
  recipe = 3,            // recipe: syntax, unknown key, wrong type or value
  not_found = 4,         // a file or folder that was named does not exist
  io = 5,                // reading or writing failed
  model = 6,             // model file truncated, garbled or inconsistent
  unsupported = 7,       // a legal model that needs an operator or feature Quoin lacks
  data = 8,              // calibration or evaluation data: empty, unreadable, NaN
  input = 9,             // a tensor of the wrong name, shape or dtype
  plugin = 10,           // plugin missing, not loadable, or it failed
  plugin_abi = 11,       // plugin built for another ABI
  program = 12,          // program file truncated, garbled or inconsistent
  program_version = 13,  // program of another format version, or its delegate cannot run here
  strict = 14,           // --strict: a warning became an error
  limit = 15,            // a size limit or the memory was exceeded
  cancelled = 16,        // stopped by the user
  nonconforming = 17,    // `quoin plugin check`: the plugin breaks the contract
};
std::string_view code_name(Code code);

// What went wrong, where, and what to do about it; each part is one sentence without a final full stop.
struct Error {
  Code code = Code::internal;
  std::string what;   // "op aten.foo.default is not known"
  std::string where;  // "model.pt2: node foo_1 (module encoder.layer.0)"; may be empty
  std::string hint;   // "did you mean ...?"; may be empty
  // "where: what; hint"
  std::string text() const;
};

// An error on its way up. One pointer, because what can fail is called everywhere and seldom fails; by hand and inlined
// always, so that compilers see which of the many of them hold nothing.
class [[nodiscard]] Failure {
 public:
  Failure(Error error);
  Failure(Code code, fmt::string_view format, fmt::format_args args);
  [[gnu::always_inline]] Failure(Failure&& other) noexcept : error_(std::exchange(other.error_, nullptr)) {}
  Failure(const Failure& other);
  Failure& operator=(Failure other) noexcept {
    std::swap(error_, other.error_);
    return *this;
  }
  [[gnu::always_inline]] ~Failure() {
    if (error_ != nullptr) destroy(error_);
  }

  // Puts a place in front of the places it has: "outer: inner".
  template <class... Args>
  Failure&& at(fmt::format_string<Args...> format, Args&&... args) && {
    put_in_front(format, fmt::make_format_args(args...));
    return std::move(*this);
  }
  Failure&& hint(std::string text) &&;
  Failure&& as(Code code) &&;

  operator Error() && { return std::move(*error_); }
  Error& operator*() const { return *error_; }
  Error* operator->() const { return error_; }

 private:
  template <class T>
  friend class Result;
  Failure() = default;  // of a result that is a value
  static void destroy(Error* error) noexcept;
  void put_in_front(fmt::string_view format, fmt::format_args args);

  Error* error_ = nullptr;  // owned
};

template <class... Args>
Failure fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Failure(code, format, fmt::make_format_args(args...));
}
inline Failure fail(Failure failure) { return failure; }

// Puts `where` in front of an error that is on its way up: "outer: inner".
Failure in(std::string_view where, Failure failure);

// A T, or why there is none (docs/decisions/0005): the interface of std::expected, as far as it is used.
template <class T>
class [[nodiscard]] Result {
  template <class U>
  static constexpr bool is_value = std::is_constructible_v<T, U> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
                                   !std::is_same_v<std::remove_cvref_t<U>, Failure>;

 public:
  using value_type = T;
  Result() requires std::is_default_constructible_v<T> : value_(std::in_place) {}
  Result(Failure failure) noexcept : failure_(std::move(failure)) {}
  template <class U = T>
  requires is_value<U>
  explicit(!std::is_convertible_v<U, T>) Result(U&& value) : value_(std::in_place, std::forward<U>(value)) {}
  template <class U>
  requires(std::is_convertible_v<U, T> && !std::is_same_v<U, T>) Result(Result<U>&& other)
      : failure_(std::move(other.failure_)) {
    if (other.value_) value_.emplace(*std::move(other.value_));
  }

  bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return value_.has_value(); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T& value() & { return value_.value(); }
  const T& value() const& { return value_.value(); }
  T&& value() && { return std::move(value_).value(); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  template <class U>
  T value_or(U&& other) const& {
    return value_.value_or(std::forward<U>(other));
  }
  template <class U>
  T value_or(U&& other) && {
    return std::move(value_).value_or(std::forward<U>(other));
  }
  template <class F>
  auto map(F&& f) && -> Result<std::remove_cvref_t<decltype(f(std::declval<T>()))>> {
    if (!value_) return std::move(failure_);
    return f(*std::move(value_));
  }
  template <class F>
  auto and_then(F&& f) && -> decltype(f(std::declval<T>())) {
    if (!value_) return std::move(failure_);
    return f(*std::move(value_));
  }
  Error& error() & { return *failure_; }
  const Error& error() const& { return *failure_; }
  Error&& error() && { return std::move(*failure_); }
  Failure&& failure() && { return std::move(failure_); }  // to pass it on

 private:
  template <class U>
  friend class Result;
  std::optional<T> value_;
  Failure failure_;  // none if there is a value
};

// Done, or why not.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Failure failure) noexcept : failure_(std::move(failure)) {}
  bool has_value() const { return failure_.error_ == nullptr; }
  explicit operator bool() const { return has_value(); }
  Error& error() & { return *failure_; }
  const Error& error() const& { return *failure_; }
  Error&& error() && { return std::move(*failure_); }
  Failure&& failure() && { return std::move(failure_); }  // to pass it on

 private:
  Failure failure_;
};
using Status = Result<void>;

}  // namespace quoin

#define QUOIN_CONCAT_(a, b) a##b
#define QUOIN_CONCAT(a, b) QUOIN_CONCAT_(a, b)
// QUOIN_TRY(auto x, f());  QUOIN_CHECK(f());  — return the error of f() to the caller.
#define QUOIN_TRY(declaration, ...) QUOIN_TRY_(QUOIN_CONCAT(quoin_try_, __LINE__), declaration, __VA_ARGS__)
#define QUOIN_TRY_(temporary, declaration, ...)          \
  auto temporary = (__VA_ARGS__);                        \
  if (!temporary) return std::move(temporary).failure(); \
  declaration = std::move(*temporary)
#define QUOIN_CHECK(...)                                                                            \
  do {                                                                                              \
    if (auto quoin_check_ = (__VA_ARGS__); !quoin_check_) return std::move(quoin_check_).failure(); \
  } while (false)
// QUOIN_CHECK_AT(f(), "node {}", i);  — the same, with the place in front of it.
#define QUOIN_CHECK_AT(call, ...)                                                                            \
  do {                                                                                                       \
    if (auto quoin_check_ = (call); !quoin_check_) return std::move(quoin_check_).failure().at(__VA_ARGS__); \
  } while (false)
