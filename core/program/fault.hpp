// Errors about what is wrong with a program.
#pragma once

#include "base/result.hpp"

namespace quoin::program {

// One function for all messages: many short calls take fewer bytes than as many errors put together in place.
tl::unexpected<Error> bad(fmt::string_view format, fmt::format_args args);
template <class... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return bad(fmt::string_view(format), fmt::format_args(fmt::make_format_args(args...)));
}

}  // namespace quoin::program
