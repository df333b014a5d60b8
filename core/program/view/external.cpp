#include "program/view/external.hpp"

#include <algorithm>
#include <cstring>

#include "program/view/bad.hpp"
#include "program/view/hash.hpp"

namespace quoin::program::view {
namespace {

constexpr size_t kMaxFileName = 255;

bool check_reference(Bytes segment, ExternalWeights& to, Fault& fault) {
  uint32_t length = 0, reserved = 0;
  if (segment.size() < kReferenceBytes) return bad(fault, "{} bytes, fewer than {}", segment.size(), kReferenceBytes);
  std::memcpy(&to.size, segment.data(), 8);
  std::memcpy(to.digest, segment.data() + 8, 16);
  std::memcpy(&length, segment.data() + 24, 4);
  std::memcpy(&reserved, segment.data() + 28, 4);
  const uint64_t room = segment.size() - kReferenceBytes;
  if (length != room) return bad(fault, "a name of {} bytes in {}", length, room);
  if (reserved != 0) return bad(fault, "reserved bytes are not zero");
  to.name = {reinterpret_cast<const char*>(segment.data()) + kReferenceBytes, length};
  return is_plain_file_name(to.name) || bad(fault, "the name of the weights file is not a plain file name");
}

bool check_bytes(const ExternalWeights& weights, Bytes bytes, bool trust, Fault& fault) {
  if (bytes.size() != weights.size) {
    bad(fault, "{} bytes, the program needs {}", bytes.size(), weights.size);
    return fault.hint("it belongs to another program, or is truncated");
  }
  if (trust) return true;
  const Digest digest = hash128(bytes);
  if (digest.low == weights.digest[0] && digest.high == weights.digest[1]) return true;
  bad(fault, "the digest does not match");
  return fault.hint("it is damaged, or belongs to another program");
}

}  // namespace

bool is_plain_file_name(std::string_view name) {
  const auto plain = [](unsigned char c) { return c > ' ' && c != 0x7f && c != '/' && c != '\\' && c != ':'; };
  return !name.empty() && name.size() <= kMaxFileName && name[0] != '.' && std::ranges::all_of(name, plain);
}

bool read_reference(Bytes segment, ExternalWeights& to, Fault& fault) {
  return check_reference(segment, to, fault) || fault.at("segment XWGT");
}

bool check_weights(const ExternalWeights& weights, Bytes bytes, bool trust, Fault& fault) {
  return check_bytes(weights, bytes, trust, fault) || fault.at("weights file {}", weights.name);
}

}  // namespace quoin::program::view
