// The one question asked of a shared library before it is loaded: what does its note say?
#pragma once

#include <string>

#include "base/result.hpp"

namespace quoin::host {

// An ELF note is found by the vendor name (at most 16 bytes, terminator included) and a type of the vendor's choice.
struct NoteKind {
  std::string_view vendor;
  uint32_t type;
};

// Contents of the first note of this kind in a 64-bit little-endian shared library for this machine's architecture.
// Reads with bounds, never maps: a file that shrinks meanwhile is an error, not a signal. Refuses files that end before
// the segments and sections they announce, because the dynamic loader would map what is not there.
// Errors (plugin): not ELF, other architecture, truncated or garbled, no such note, note above `limit` bytes. io: read.
Result<std::string> read_note(int descriptor, uint64_t file_size, const NoteKind& kind, uint64_t limit);

}  // namespace quoin::host
