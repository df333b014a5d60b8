// The outer layout of a file, read: header, segment table, segments that tile the file with nothing but zero padding
// between them.
#pragma once

#include "base/arena.hpp"
#include "base/fault.hpp"
#include "base/file.hpp"
#include "program/format.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

struct Segment {
  SegmentEntry entry;
  Bytes bytes;
};

struct Layout {
  uint16_t major, minor;
  uint32_t features;       // Feature bits
  List<Segment> segments;  // in file order; unknown optional ones stay (indices into it are used inside the file)
};

// Checks header, table, tiling, padding and every checksum, that of the weights unless they are trusted. Segments
// are as aligned as their offsets where `file` is 64-byte aligned. Errors: program, program_version, limit.
[[gnu::noinline]] bool read_layout(Bytes file, bool trust_weights, Arena& arena, Layout& to, Fault& fault);

// The bytes of the only segment of its kind. Errors: program.
bool only_segment(const Layout& layout, uint32_t kind, Bytes& to, Fault& fault);

// The four characters of a kind.
struct KindName {
  char text[4];
  operator std::string_view() const { return {text, 4}; }
};
KindName kind_name(uint32_t kind);

}  // namespace quoin::program::view
