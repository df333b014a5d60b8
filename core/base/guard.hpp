// Nothing throws across a module's border: memory that runs out, and what a library throws, becomes an error.
#pragma once

#include <exception>
#include <new>

#include "base/result.hpp"

namespace quoin {

// body() returns a Result or Status; so does this. std::bad_alloc: limit; any other exception: internal.
template <class F>
auto guarded(F&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Error{Code::limit, "out of memory", {}, {}});
  } catch (const std::exception& e) {
    return fail(Error{Code::internal, e.what(), {}, {}});
  }
}

}  // namespace quoin
