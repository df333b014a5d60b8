// The reference of a program to weights in a file of their own (segment XWGT), read.
#pragma once

#include "base/fault.hpp"
#include "base/file.hpp"

namespace quoin::program::view {

struct ExternalWeights {
  std::string_view name;  // of a file in the program's folder; never a path. Lies in the segment
  uint64_t size;          // bytes
  uint64_t digest[2];     // XXH3-128: low half, high half
};
// No separators, nothing hidden, nothing that a terminal or a script would trip over, at most 255 bytes.
bool is_plain_file_name(std::string_view name);
inline constexpr size_t kReferenceBytes = 32;  // before the name: size, digest, length of the name, reserved

// Errors (program): another size than its name needs, a name that is not plain.
bool read_reference(Bytes segment, ExternalWeights& to, Fault& fault);
// Errors (program): size; without `trust` the digest, which reads all of the bytes.
bool check_weights(const ExternalWeights& weights, Bytes bytes, bool trust, Fault& fault);

}  // namespace quoin::program::view
