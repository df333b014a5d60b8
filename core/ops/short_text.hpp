// Short texts for messages, without heap memory.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/dtype.hpp"

namespace quoin {

// What does not fit is cut.
class ShortText {
 public:
  ShortText() { text_[0] = '\0'; }
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    append(format, fmt::make_format_args(args...));
  }
  const char* text() const { return text_; }  // ends with a zero
  size_t size() const { return size_; }

 private:
  void append(fmt::string_view format, fmt::format_args args);
  char text_[256];
  size_t size_ = 0;
};
// "[1, 3]"; "[..512, 3]" where bit 0 of `dynamic` says that dim 0 may be smaller.
ShortText shape_text(std::span<const int64_t> shape, uint32_t dynamic = 0);
ShortText type_text(DType dtype, std::span<const int64_t> shape, uint32_t dynamic = 0);  // "s8[1, 3]"

}  // namespace quoin
