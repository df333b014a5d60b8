#include <algorithm>
#include <cstring>

#include "embed/objects.hpp"

namespace quoin::embed {
namespace {

struct Row {
  Code code;
  quoin_status status;
};
constexpr Row kRows[] = {
    {Code::not_found, QUOIN_NOT_FOUND},
    {Code::unsupported, QUOIN_UNSUPPORTED},
    {Code::usage, QUOIN_INVALID},
    {Code::data, QUOIN_INVALID},
    {Code::input, QUOIN_INVALID},
    {Code::plugin_abi, QUOIN_INCOMPATIBLE},
    {Code::program_version, QUOIN_INCOMPATIBLE},
    {Code::model, QUOIN_CORRUPT},
    {Code::program, QUOIN_CORRUPT},
    {Code::limit, QUOIN_OUT_OF_MEMORY},
    {Code::cancelled, QUOIN_CANCELLED},
};

quoin_status status_of(Code code) {
  for (const Row& row : kRows)
    if (row.code == code) return row.status;
  return QUOIN_INTERNAL;
}

}  // namespace

quoin_status report(const Fault& fault, quoin_error* out) noexcept {
  const quoin_status status = status_of(fault.code());
  if (out == nullptr || out->struct_size < sizeof(quoin_error)) return status;
  out->code = status;
  out->vendor_code = static_cast<uint32_t>(fault.code());
  out->message_size = static_cast<uint32_t>(fault.text(out->message, sizeof out->message));
  return status;
}

bool read_options(const void* given, void* to, uint32_t size, Fault& fault) {
  std::memset(to, 0, size);
  if (given == nullptr) return true;
  uint32_t given_size = 0;
  std::memcpy(&given_size, given, sizeof given_size);
  if (given_size < sizeof(uint64_t)) return fault.fail(Code::input, "struct_size of the options is not set");
  std::memcpy(to, given, std::min(given_size, size));
  return true;
}

}  // namespace quoin::embed
