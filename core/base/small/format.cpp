#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace fmt {

Arg::Arg(const char* text) : text_(text), tag_(std::strlen(text)) {}

void Arg::append_to(std::string& out, bool hex) const {
  char buffer[32];
  const char* pattern = hex ? "%#" PRIx64 : "%" PRIu64;
  switch (tag_) {
    case kCharacter:
      out += static_cast<char>(integer_);
      return;
    case kNumber:
      std::snprintf(buffer, sizeof buffer, "%.7g", number_);
      break;
    case kInteger:
      if (!hex) pattern = "%" PRId64;
      [[fallthrough]];
    case kNatural:
      std::snprintf(buffer, sizeof buffer, pattern, integer_);
      break;
    default:
      out.append(text_, tag_);
      return;
  }
  out += buffer;
}

std::string vformat(string_view format, format_args args) {
  std::string out;
  for (const char* at = format.pattern; *at != '\0'; ++at) {
    const char c = *at;
    if (c != '{' && c != '}') {
      out += c;
    } else if (at[1] == c) {  // {{ or }}
      out += c;
      ++at;
    } else {
      const char* end = std::strchr(at, '}');
      args++->append_to(out, end[-1] == 'x');
      at = end;
    }
  }
  return out;
}

}  // namespace fmt
