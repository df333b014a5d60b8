// Checksums of program files: XXH3 with seed 0.
#pragma once

#include "base/file.hpp"

namespace quoin::program::view {

uint64_t hash64(Bytes bytes);
struct Digest {
  uint64_t low, high;
};
Digest hash128(Bytes bytes);

}  // namespace quoin::program::view
