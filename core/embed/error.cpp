#include <algorithm>
#include <cstring>

#include "embed/objects.hpp"

namespace quoin::embed {
namespace {

quoin_status status_of(Code code) {
  switch (code) {
    case Code::not_found:
      return QUOIN_NOT_FOUND;
    case Code::unsupported:
      return QUOIN_UNSUPPORTED;
    case Code::usage:
    case Code::data:
    case Code::input:
      return QUOIN_INVALID;
    case Code::plugin_abi:
    case Code::program_version:
      return QUOIN_INCOMPATIBLE;
    case Code::model:
    case Code::program:
      return QUOIN_CORRUPT;
    case Code::limit:
      return QUOIN_OUT_OF_MEMORY;
    case Code::cancelled:
      return QUOIN_CANCELLED;
    default:
      return QUOIN_INTERNAL;
  }
}

// Cut between characters: the message is UTF-8.
size_t fitting(std::string_view text, size_t room) {
  if (text.size() <= room) return text.size();
  while (room > 0 && (static_cast<unsigned char>(text[room]) & 0xc0) == 0x80) --room;
  return room;
}

}  // namespace

quoin_status report(const Error& error, quoin_error* out) noexcept {
  const quoin_status status = status_of(error.code);
  if (out == nullptr || out->struct_size < sizeof(quoin_error)) return status;
  const auto text = guarded([&]() -> Result<std::string> { return error.text(); });
  const std::string_view message = text ? std::string_view(*text) : std::string_view("out of memory");
  out->code = status;
  out->vendor_code = static_cast<uint32_t>(error.code);
  out->message_size = static_cast<uint32_t>(fitting(message, sizeof out->message));
  std::memcpy(out->message, message.data(), out->message_size);
  return status;
}

}  // namespace quoin::embed
