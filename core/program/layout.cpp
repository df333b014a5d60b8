#include "program/layout.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/checked.hpp"
#include "base/guard.hpp"
#include "program/model.hpp"

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

constexpr bool is_alignment(uint32_t value) { return std::has_single_bit(value) && value >= 8 && value <= 65536; }

uint32_t required_alignment(uint32_t kind) {
  switch (kind) {
    case kGraphSegment:
      return kGraphAlignment;
    case kWeightsSegment:
      return kWeightsAlignment;
    case kBlobSegment:
      return kBlobAlignment;
    default:
      return 8;
  }
}

Status check_magic(const Header& header) {
  if (header.magic == kMagic) return {};
  const auto same = [&](size_t i) { return header.magic[i] == kMagic[i]; };
  if (same(1) && same(2) && same(3))
    return fail(Code::program, "the signature is damaged, as by a transfer in text mode")
        .at("header")
        .hint("copy the file again in binary mode");
  return fail(Code::program, "this is not a Quoin program: its signature is missing").at("header");
}

Status check_version(const Header& header, bool intact) {
  if (header.major != kFormatMajor && intact)
    return fail(Code::program_version, "format {}.{}; this reader knows major version {}", header.major, header.minor,
                kFormatMajor)
        .at("header")
        .hint("lower the model again with this version of Quoin");
  if (!intact) return fail(Code::program, "the checksum does not match").at("header").hint("the file is damaged");
  if (const uint32_t unknown = header.required_features & ~kKnownFeatures; unknown != 0)
    return fail(Code::program_version, "needs features {:#x} that this reader does not know", unknown)
        .at("header")
        .hint("use a newer version of Quoin");
  return {};
}

Result<Header> read_header(Bytes file) {
  if (file.size() < sizeof(Header))
    return fail(Code::program, "{} bytes, fewer than the {} of a header", file.size(), sizeof(Header))
        .at("header")
        .hint("the file is truncated");
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  QUOIN_CHECK(check_magic(header));
  QUOIN_CHECK(check_version(header, header_hash(header) == header.header_hash));
  const auto bad = [](std::string what) { return fail(Code::program, "{}", what).at("header"); };
  if (header.file_size != file.size())
    return fail(Code::program, "the header says {} bytes, the file has {}", header.file_size, file.size())
        .at("header")
        .hint(header.file_size > file.size() ? "the file is truncated" : "bytes were appended");
  if (header.header_size != sizeof(Header)) return bad(fmt::format("header of {} bytes", header.header_size));
  if (header.table_offset != sizeof(Header)) return bad(fmt::format("segment table at {}", header.table_offset));
  if (header.reserved != 0) return bad("reserved bytes are not zero");
  if (header.segment_count > kMaxSegments)
    return fail(Code::limit, "{} segments, at most {}", header.segment_count, kMaxSegments).at("header");
  return header;
}

Result<std::vector<SegmentEntry>> read_table(const Header& header, Bytes file) {
  const uint64_t size = uint64_t{header.segment_count} * sizeof(SegmentEntry);
  if (size > file.size() - sizeof(Header))
    return fail(Code::program, "{} segments do not fit the file", header.segment_count).at("segment table");
  std::vector<SegmentEntry> table(header.segment_count);
  if (size != 0) std::memcpy(table.data(), file.data() + sizeof(Header), size);
  if (XXH3_64bits(table.data(), size) != header.table_hash)
    return fail(Code::program, "the checksum does not match").at("segment table").hint("the file is damaged");
  return table;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// `end`: where the segment before ended. Only one offset is legal.
Status check_place(const SegmentEntry& entry, uint64_t end, Bytes file) {
  if (!is_alignment(entry.alignment) || entry.alignment < required_alignment(entry.kind))
    return fail(Code::program, "alignment {}", entry.alignment);
  if ((entry.flags & ~uint32_t{kOptionalSegment}) != 0 || entry.reserved != 0)
    return fail(Code::program, "unknown flags");
  const uint64_t expected = align_up(end, uint64_t{entry.alignment});
  if (entry.offset != expected) return fail(Code::program, "starts at {}, expected {}", entry.offset, expected);
  if (entry.offset > file.size() || entry.size > file.size() - entry.offset)
    return fail(Code::program, "bytes {} + {} are outside the file of {}", entry.offset, entry.size, file.size());
  if (!all_zero(file.subspan(end, entry.offset - end))) return fail(Code::program, "the padding before it is not zero");
  return {};
}

Status check_segment(const SegmentEntry& entry, uint64_t end, Bytes file, bool trust_weights) {
  QUOIN_CHECK(check_place(entry, end, file));
  const bool known = entry.kind == kGraphSegment || entry.kind == kWeightsSegment || entry.kind == kBlobSegment ||
                     entry.kind == kExternalSegment || entry.kind == kTestSegment;
  if (!known && (entry.flags & kOptionalSegment) == 0)
    return fail(Code::program_version, "this reader does not know such segments").hint("use a newer version of Quoin");
  if (trust_weights && entry.kind == kWeightsSegment) return {};
  if (XXH3_64bits(file.data() + entry.offset, entry.size) != entry.hash)
    return fail(Code::program, "the checksum does not match").hint("the file is damaged");
  return {};
}

}  // namespace

std::string kind_name(uint32_t kind) {
  std::string text;
  for (int shift = 0; shift < 32; shift += 8) {
    const char c = static_cast<char>(kind >> shift & 0xff);
    text += c > ' ' && c < 0x7f ? c : '?';
  }
  return text;
}

Bytes zeros(uint64_t count) {
  static constexpr std::array<std::byte, 65536> kZeros{};
  return Bytes(kZeros).first(count);
}

namespace {

uint32_t features_of(const std::vector<SegmentEntry>& table) {
  const bool external = std::ranges::find(table, kExternalSegment, &SegmentEntry::kind) != table.end();
  return external ? uint32_t{kExternalWeights} : 0;
}

}  // namespace

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

Result<Layout> parse_layout(Bytes file, bool trust_weights) {
  QUOIN_TRY(const Header header, read_header(file));
  QUOIN_TRY(const std::vector<SegmentEntry> table, read_table(header, file));
  if ((header.required_features & kExternalWeights) != features_of(table))
    return fail(Code::program, "the features named are not those of the segments").at("header");
  Layout layout{header.major, header.minor, header.required_features, {}};
  std::vector<Segment>& segments = layout.segments;
  uint64_t end = sizeof(Header) + table.size() * sizeof(SegmentEntry);
  for (const SegmentEntry& entry : table) {
    QUOIN_CHECK_AT(check_segment(entry, end, file, trust_weights), "segment {} ({})", segments.size(),
                   kind_name(entry.kind));
    segments.push_back({entry, file.subspan(entry.offset, entry.size)});
    end = entry.offset + entry.size;
  }
  if (end != file.size())
    return fail(Code::program, "{} bytes after the last segment", file.size() - end).at("segment table");
  return layout;
}

}  // namespace quoin::program
