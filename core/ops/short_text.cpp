#include "ops/short_text.hpp"

#include <cstring>

#include "base/utf8.hpp"

namespace quoin {

#ifdef QUOIN_SMALL_FORMAT
void ShortText::append(fmt::string_view format, fmt::format_args args) {
  size_ += fmt::write(text_ + size_, sizeof text_ - 1 - size_, format.pattern, args);
  text_[size_] = '\0';
}
#else
void ShortText::append(fmt::string_view format, fmt::format_args args) {
  const std::string made = fmt::vformat(format, args);
  const size_t fits = cut_size(made, sizeof text_ - 1 - size_);
  std::memcpy(text_ + size_, made.data(), fits);
  text_[size_ += fits] = '\0';
}
#endif

ShortText shape_text(std::span<const int64_t> shape, uint32_t dynamic) {
  ShortText out;
  const char* before = "[";
  for (const int64_t dim : shape) {
    out.add("{}{}{}", before, (dynamic & 1) != 0 ? ".." : "", dim);
    before = ", ";
    dynamic >>= 1;
  }
  out.add("{}", shape.empty() ? "[]" : "]");
  return out;
}

ShortText type_text(DType dtype, std::span<const int64_t> shape, uint32_t dynamic) {
  ShortText out;
  out.add("{}{}", bits(dtype) == 0 ? "an unknown type" : name(dtype), shape_text(shape, dynamic).text());
  return out;
}

}  // namespace quoin
