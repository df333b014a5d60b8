// The outer layout: header, segment table, segments that tile the file with nothing but zero padding between them.
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"
#include "program/format.hpp"

namespace quoin::program {

// A segment to be written, as the pieces it is made of: big tensors are never copied together.
struct SegmentSource {
  uint32_t kind = 0, alignment = 0;
  std::vector<Bytes> pieces;
  uint32_t flags = 0;
};

// The whole file as a list of pieces in order. Pieces borrow from the sources and from `head`.
struct Image {
  std::vector<std::byte> head;  // header and segment table
  std::vector<Bytes> pieces;
  uint64_t size = 0;
};
// `features`: those of the graph; what the segments need is added.
Image lay_out(const std::vector<SegmentSource>& segments, uint32_t features);

struct Segment : SegmentEntry {
  Bytes bytes;
};

struct Layout {
  uint16_t major = 0, minor = 0;
  uint32_t features = 0;  // Feature bits
  std::vector<Segment>
      segments;  // in file order; unknown optional ones stay (indices into it are used inside the file)
};

// Checks header, table, tiling, padding and every checksum, that of the weights unless they are trusted. Errors:
// program, program_version, limit.
Result<Layout> parse_layout(Bytes file, bool trust_weights = false);

std::string kind_name(uint32_t kind);
// Zero bytes, at most 65536 of them.
Bytes zeros(uint64_t count);

}  // namespace quoin::program
