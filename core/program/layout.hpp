// The outer layout of a file to be written: header, segment table, segments that tile the file.
#pragma once

#include <vector>

#include "base/file.hpp"
#include "program/format.hpp"
#include "program/view/layout.hpp"

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

// What view::read_layout() finds, in a list of its own. Errors: program, program_version, limit.
struct Layout {
  uint16_t major = 0, minor = 0;
  uint32_t features = 0;                // Feature bits
  std::vector<view::Segment> segments;  // in file order; unknown optional ones stay
};
Result<Layout> read_layout(Bytes file, bool trust_weights);

// Zero bytes, at most 65536 of them.
Bytes zeros(uint64_t count);

}  // namespace quoin::program
