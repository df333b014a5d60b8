// Errors as values: every fallible function in core returns Result<T>; nothing throws across a module border.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
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

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...), {}, {}});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// Puts `where` in front of an error that is on its way up: "outer: inner".
[[nodiscard]] Error in(std::string_view where, Error error);

}  // namespace quoin

#define QUOIN_CONCAT_(a, b) a##b
#define QUOIN_CONCAT(a, b) QUOIN_CONCAT_(a, b)
// QUOIN_TRY(auto x, f());  QUOIN_CHECK(f());  — return the error of f() to the caller.
#define QUOIN_TRY(declaration, ...) QUOIN_TRY_(QUOIN_CONCAT(quoin_try_, __LINE__), declaration, __VA_ARGS__)
#define QUOIN_TRY_(temporary, declaration, ...)                       \
  auto temporary = (__VA_ARGS__);                                     \
  if (!temporary) return ::quoin::fail(std::move(temporary).error()); \
  declaration = std::move(*temporary)
#define QUOIN_CHECK(...)                                                                                         \
  do {                                                                                                           \
    if (auto quoin_check_ = (__VA_ARGS__); !quoin_check_) return ::quoin::fail(std::move(quoin_check_).error()); \
  } while (false)
