// Errors about what is wrong with a program.
#pragma once

#include "base/result.hpp"

namespace quoin::program {

template <class... Args>
Failure bad(fmt::format_string<Args...> format, Args&&... args) {
  return Failure(Code::program, format, fmt::make_format_args(args...));
}

}  // namespace quoin::program
