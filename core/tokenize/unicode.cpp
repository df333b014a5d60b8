#include "tokenize/unicode.hpp"

#include <unicode/normalizer2.h>
#include <unicode/regex.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include "base/utf8.hpp"

namespace quoin::tokenize {
namespace {

constexpr int32_t kMostMilliseconds = 10'000;       // about: ICU counts steps
constexpr int32_t kMostMemory = 256 * 1024 * 1024;  // for going back; a million spaces take 64 MiB

UChar32 icu_character(char32_t character) { return static_cast<UChar32>(character); }

Failure icu_error(std::string_view what, UErrorCode status) {
  return fail(Code::limit, "{} failed: {}", what, u_errorName(status));
}

}  // namespace

char32_t take_character(std::string_view& text) {
  int32_t at = 0;
  UChar32 out = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(std::min<size_t>(text.size(), 4));
  U8_NEXT_OR_FFFD(bytes, at, size, out);
  text.remove_prefix(static_cast<size_t>(at));
  return static_cast<char32_t>(out);
}

void append_character(std::string& text, char32_t character) {
  icu::UnicodeString(icu_character(character)).toUTF8String(text);
}

bool is_space(char32_t character) { return u_isUWhiteSpace(icu_character(character)) != 0; }

bool is_word(char32_t character) {
  const UChar32 c = icu_character(character);
  constexpr uint32_t kMask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(c) != 0 || (U_GET_GC_MASK(c) & kMask) != 0 || c == 0x200c || c == 0x200d;
}

bool is_numeric(char32_t character) { return (U_GET_GC_MASK(icu_character(character)) & U_GC_N_MASK) != 0; }

bool is_punctuation(char32_t character) {
  const bool ascii_symbol = character < 0x80 && (U_GET_GC_MASK(icu_character(character)) & U_GC_S_MASK) != 0;
  return ascii_symbol || (U_GET_GC_MASK(icu_character(character)) & U_GC_P_MASK) != 0;
}

bool is_mark(char32_t character) { return (U_GET_GC_MASK(icu_character(character)) & U_GC_M_MASK) != 0; }

void append_lower(std::string& text, char32_t character) {
  constexpr char32_t kCapitalDottedI = 0x130, kDotAbove = 0x307;  // the only one that becomes two
  append_character(text, static_cast<char32_t>(u_tolower(icu_character(character))));
  if (character == kCapitalDottedI) append_character(text, kDotAbove);
}

Result<std::string> normalize(Form form, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = form == Form::nfc    ? icu::Normalizer2::getNFCInstance(status)
                                       : form == Form::nfd  ? icu::Normalizer2::getNFDInstance(status)
                                       : form == Form::nfkc ? icu::Normalizer2::getNFKCInstance(status)
                                                            : icu::Normalizer2::getNFKDInstance(status);
  if (U_FAILURE(status)) return icu_error("normalization", status);
  if (text.size() > INT32_MAX) return fail(Code::limit, "a text of {} bytes, at most {}", text.size(), INT32_MAX);
  const auto from = icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
  const icu::UnicodeString to = normalizer->normalize(from, status);
  if (U_FAILURE(status)) return icu_error("normalization", status);
  std::string out;
  to.toUTF8String(out);
  return out;
}

struct Regex::State {
  std::unique_ptr<icu::RegexPattern> pattern;
};

Result<Regex> Regex::compile(std::string_view pattern, const std::string& where) {
  UErrorCode status = U_ZERO_ERROR;
  UParseError place{};
  const auto text = icu::UnicodeString::fromUTF8({pattern.data(), static_cast<int32_t>(pattern.size())});
  auto state = std::make_shared<State>();
  state->pattern.reset(icu::RegexPattern::compile(text, 0, place, status));
  if (U_FAILURE(status) || state->pattern == nullptr)
    return fail(Code::unsupported, "the regular expression \"{}\" is not understood at character {}: {}", pattern,
                place.offset, u_errorName(status))
        .at("{}", where);
  Regex out;
  out.state_ = std::move(state);
  return out;
}

Result<std::vector<Range>> Regex::matches(std::string_view text) const {
  UErrorCode status = U_ZERO_ERROR;
  if (text.size() > INT32_MAX) return fail(Code::limit, "a text of {} bytes, at most {}", text.size(), INT32_MAX);
  const auto wide = icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
  const std::unique_ptr<icu::RegexMatcher> matcher(state_->pattern->matcher(wide, status));
  if (U_FAILURE(status)) return icu_error("matching a regular expression", status);
  matcher->setTimeLimit(kMostMilliseconds, status);
  matcher->setStackLimit(kMostMemory, status);
  // ICU counts in UTF-16: both positions go over the text once.
  int32_t unit = 0;
  size_t byte = 0;
  const auto byte_of = [&](int32_t target) {
    while (unit < target) {
      const size_t size = utf8_character(text.substr(byte));
      unit += size == 4 ? 2 : 1;
      byte += size;
    }
    return byte;
  };
  std::vector<Range> out;
  while (matcher->find(status) != 0 && U_SUCCESS(status)) {
    const int32_t begin = matcher->start(status), end = matcher->end(status);
    if (begin == end) continue;
    const size_t from = byte_of(begin);
    out.push_back({from, byte_of(end)});
  }
  if (U_FAILURE(status)) return icu_error("matching a regular expression", status);
  return out;
}

}  // namespace quoin::tokenize
