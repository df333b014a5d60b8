// Faults of a program.
#pragma once

#include "base/fault.hpp"

namespace quoin::program::view {

template <class... Args>
bool bad(Fault& fault, fmt::format_string<Args...> format, Args&&... args) {
  return fault.fail(Code::program, format, std::forward<Args>(args)...);
}

}  // namespace quoin::program::view
