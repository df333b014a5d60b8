#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>

namespace fmt {

void Arg::append_to(std::string& out, bool hex) const {
  char buffer[32];
  const char* pattern = hex ? "%#" PRIx64 : "%" PRIu64;
  switch (kind_) {
    case Kind::text:
      out.append(text_, size_);
      return;
    case Kind::character:
      out += static_cast<char>(integer_);
      return;
    case Kind::number:
      std::snprintf(buffer, sizeof buffer, "%.7g", number_);
      break;
    case Kind::integer:
      if (!hex) pattern = "%" PRId64;
      [[fallthrough]];
    case Kind::natural:
      std::snprintf(buffer, sizeof buffer, pattern, integer_);
      break;
  }
  out += buffer;
}

std::string vformat(string_view pattern, format_args args) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (i + 1 < pattern.size() && pattern[i + 1] == c) {  // {{ or }}
      out += c;
      ++i;
      continue;
    }
    const size_t end = pattern.find('}', i);
    if (end == std::string_view::npos) break;
    if (!args.empty()) {
      args.front().append_to(out, pattern.substr(i, end - i).find('x') != std::string_view::npos);
      args = args.subspan(1);
    }
    i = end;
  }
  return out;
}

}  // namespace fmt
