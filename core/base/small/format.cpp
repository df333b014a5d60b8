#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>

namespace fmt {
namespace {

size_t write_word(char* to, size_t room, uint64_t word, uint32_t tag, bool hex) {
  std::string_view text;
  char made[32];
  const char* pattern = hex ? "%#" PRIx64 : tag == kInteger ? "%" PRId64 : "%" PRIu64;
  switch (tag) {
    case kCharacter:
      made[0] = static_cast<char>(word);
      text = {made, 1};
      break;
    case kLiteral:
      text = reinterpret_cast<const char*>(word);
      break;
    case kText:
      text = *reinterpret_cast<const std::string_view*>(word);
      break;
    case kString:
      text = *reinterpret_cast<const std::string*>(word);
      break;
    case kReal:
      text = {made, static_cast<size_t>(std::snprintf(made, sizeof made, "%.7g", std::bit_cast<double>(word)))};
      break;
    default:
      text = {made, static_cast<size_t>(std::snprintf(made, sizeof made, pattern, word))};
  }
  return text.copy(to, room);
}

}  // namespace

size_t write(char* to, size_t room, const char* pattern, format_args args) {
  size_t size = 0;
  for (; *pattern != '\0' && size < room; ++pattern) {
    if (*pattern != '{' || pattern[1] == '{') {
      pattern += *pattern == '{' || *pattern == '}';
      to[size++] = *pattern;
      continue;
    }
    const bool hex = pattern[1] != '}';
    while (*pattern != '}') ++pattern;
    size += write_word(to + size, room - size, *args.words++, args.tags & 7, hex);
    args.tags >>= 3;
  }
  return size;
}

std::string vformat(string_view format, format_args args) {
  char made[1024];
  return {made, write(made, sizeof made, format.pattern, args)};
}

}  // namespace fmt
