// Nothing throws across a module's border: memory that runs out, and what a library throws, becomes an error.
#pragma once

#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace quoin {

#if defined(__cpp_exceptions)

// body() returns a Result or Status; so does this. std::bad_alloc: limit; any other exception: internal.
template <class F>
auto guarded(F&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::limit, "out of memory");
  } catch (const std::exception& e) {
    return fail(Code::internal, "{}", e.what());
  }
}

// Calls foreign code that promised not to throw. Nothing: it kept the promise; else what escaped, in words. Does not
// allocate when all is well.
template <class F>
std::optional<std::string> escaped(F&& body) {
  try {
    body();
    return std::nullopt;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something not derived from std::exception";
  }
}
[[noreturn]] inline void out_of_memory() { throw std::bad_alloc(); }

#else  // memory that runs out ends the process by the new handler; what plugins throw ends it, too

template <class F>
auto guarded(F&& body) -> decltype(body()) {
  return body();
}
template <class F>
std::optional<std::string> escaped(F&& body) {
  body();
  return std::nullopt;
}
[[noreturn]] inline void out_of_memory() { std::abort(); }

#endif

}  // namespace quoin
