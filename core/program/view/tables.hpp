// FlatBuffers tables into structs, by a list of their fields: structure only, every offset checked.
#pragma once

#include "base/arena.hpp"
#include "base/fault.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

// Reads the buffer of a GRPH segment into `to` (schema/program.fbs), 64-byte aligned. Texts and lists stay in it,
// tables become structs in `arena`; resolved fields are zero. Every table, text and list of a well-formed buffer is
// referred to once, so that what is read is never more than a multiple of the buffer. Errors: program, limit.
bool read_tables(Bytes buffer, Arena& arena, Program& to, Fault& fault);

}  // namespace quoin::program::view
