#include "base/fault.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstring>

#include "base/utf8.hpp"

namespace quoin {

// Returns how many bytes went in: of one text at most a part of the room, so that there is some for the places.
size_t Fault::insert(size_t at, std::string_view text) {
  const size_t used = size_t{where_} + what_ + hint_;
  const size_t size = cut_size(text, std::min(kRoom - used, kRoom / 4));
  std::memmove(text_ + at + size, text_ + at, used - at);
  std::memcpy(text_ + at, text.data(), size);
  return size;
}

// An error, or a place in front of those of the error that is there.
void Fault::put(uint32_t code, std::string_view text) {
  if (code != kPlace) {
    code_ = static_cast<Code>(code);
    where_ = what_ = hint_ = 0;
    what_ = static_cast<uint16_t>(insert(0, text));
    return;
  }
  if (where_ != 0) where_ = static_cast<uint16_t>(where_ + insert(0, ": "));
  where_ = static_cast<uint16_t>(where_ + insert(0, text));
}

void Fault::drop_places() {
  std::memmove(text_, text_ + where_, size_t{what_} + hint_);
  where_ = 0;
}

void Fault::add_to_hint(std::string_view text) {
  hint_ = static_cast<uint16_t>(hint_ + insert(size_t{where_} + what_ + hint_, text));
}

void Fault::add_hint(std::string_view text) {
  if (hint_ != 0) add_to_hint("; ");
  add_to_hint(text);
}

bool Fault::take(const Error& error) {
  put(static_cast<uint32_t>(error.code), error.what);
  if (!error.where.empty()) put(kPlace, error.where);
  if (!error.hint.empty()) add_hint(error.hint);
  return false;
}

size_t Fault::text(char* to, size_t room) const {
  size_t size = 0;
  const auto add = [&](std::string_view part) {
    const size_t fits = cut_size(part, room - size);
    std::memcpy(to + size, part.data(), fits);
    size += fits;
  };
  add(where());
  if (where_ != 0) add(": ");
  add(what());
  if (hint_ != 0) add("; ");
  add(hint());
  return size;
}

Failure Fault::failure() const {
  return Failure(Error{code_, std::string(what()), std::string(where()), std::string(hint())});
}

#ifdef QUOIN_SMALL_FORMAT
void Fault::say(uint32_t code_and_tags, const char* pattern, ...) {
  char made[kRoom / 4];
  uint64_t words[9], *next = words;
  const uint32_t all = code_and_tags >> kCodeBits;
  va_list list;
  va_start(list, pattern);
  for (uint32_t tags = all; tags != 0; tags >>= 3) *next++ = va_arg(list, uint64_t);
  va_end(list);
  const size_t size = fmt::write(made, sizeof made, pattern, {all, words});
  put(code_and_tags & ((1u << kCodeBits) - 1), {made, size});
}
#else
void Fault::say(uint32_t code, fmt::string_view format, fmt::format_args args) {
  put(code, fmt::vformat(format, args));
}
#endif

}  // namespace quoin
