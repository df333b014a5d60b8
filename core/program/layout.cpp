#include "program/layout.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/checked.hpp"
#include "base/guard.hpp"

namespace quoin::program {
namespace {

uint64_t hash_of(const std::vector<Bytes>& pieces) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  if (!state) out_of_memory();
  XXH3_64bits_reset(state.get());
  for (const Bytes piece : pieces) XXH3_64bits_update(state.get(), piece.data(), piece.size());
  return XXH3_64bits_digest(state.get());
}

uint64_t header_hash(const Header& header) { return XXH3_64bits(&header, offsetof(Header, header_hash)); }

uint32_t features_of(const std::vector<SegmentEntry>& table) {
  const bool external = std::ranges::find(table, kExternalSegment, &SegmentEntry::kind) != table.end();
  return external ? uint32_t{kExternalWeights} : 0;
}

}  // namespace

Bytes zeros(uint64_t count) {
  static constexpr std::array<std::byte, 65536> kZeros{};
  return Bytes(kZeros).first(count);
}

Image lay_out(const std::vector<SegmentSource>& segments, uint32_t features) {
  std::vector<SegmentEntry> table;
  Image image;
  const uint64_t table_size = segments.size() * sizeof(SegmentEntry);
  image.head.resize(sizeof(Header) + table_size);
  image.size = image.head.size();
  image.pieces.push_back(image.head);  // filled below; a move keeps the bytes where they are
  for (const SegmentSource& segment : segments) {
    const uint64_t offset = align_up(image.size, uint64_t{segment.alignment});
    image.pieces.push_back(zeros(offset - image.size));
    uint64_t size = 0;
    for (const Bytes piece : segment.pieces) size += piece.size();
    table.push_back({segment.kind, segment.flags, offset, size, segment.alignment, 0, hash_of(segment.pieces)});
    image.pieces.insert(image.pieces.end(), segment.pieces.begin(), segment.pieces.end());
    image.size = offset + size;
  }
  Header header{};
  header.required_features = features | features_of(table);
  header.magic = kMagic;
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  header.header_size = sizeof(Header);
  header.file_size = image.size;
  header.table_offset = sizeof(Header);
  header.segment_count = static_cast<uint32_t>(table.size());
  header.table_hash = XXH3_64bits(table.data(), table_size);
  header.header_hash = header_hash(header);
  std::memcpy(image.head.data(), &header, sizeof header);
  if (table_size != 0) std::memcpy(image.head.data() + sizeof header, table.data(), table_size);
  return image;
}

Result<Layout> read_layout(Bytes file, bool trust_weights) {
  Arena memory(heap());
  Fault fault;
  view::Layout found;
  if (!view::read_layout(file, trust_weights, memory, found, fault)) return fault.failure();
  return Layout{found.major, found.minor, found.features, {found.segments.begin(), found.segments.end()}};
}

}  // namespace quoin::program
