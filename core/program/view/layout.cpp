#include "program/view/layout.hpp"

#include <cstring>

#include "base/checked.hpp"
#include "program/view/bad.hpp"
#include "program/view/hash.hpp"

namespace quoin::program::view {
namespace {

class LayoutReader {
 public:
  LayoutReader(Bytes file, bool trust_weights, Fault& fault)
      : file_(file), trust_weights_(trust_weights), fault_(fault) {}
  bool header(Layout& to);
  bool table(Arena& arena, Layout& to);

 private:
  bool damaged() {
    bad(fault_, "the checksum does not match");
    return fault_.hint("the file is damaged");
  }
  bool newer(const char* what) {
    fault_.fail(Code::program_version, "{}", what);
    return fault_.hint("use a newer version of Quoin");
  }
  bool check_magic();
  bool check_version();
  bool check_fields();
  bool check_place(const SegmentEntry& entry);
  bool check_segment(const SegmentEntry& entry);
  bool segment(const SegmentEntry& entry, Segment& to);

  const Bytes file_;
  const bool trust_weights_;
  Fault& fault_;
  Header header_{};
  uint64_t end_ = sizeof(Header);  // of what was read so far
};

bool LayoutReader::check_magic() {
  if (header_.magic == kMagic) return true;
  if (std::memcmp(header_.magic.data() + 1, kMagic.data() + 1, 3) != 0)
    return bad(fault_, "this is not a Quoin program: its signature is missing");
  bad(fault_, "the signature is damaged, as by a transfer in text mode");
  return fault_.hint("copy the file again in binary mode");
}

bool LayoutReader::check_version() {
  if (hash64(std::as_bytes(std::span(&header_, 1)).first(offsetof(Header, header_hash))) != header_.header_hash)
    return damaged();
  if (header_.major != kFormatMajor) {
    fault_.fail(Code::program_version, "format {}.{}; this reader knows major version {}", header_.major, header_.minor,
                kFormatMajor);
    return fault_.hint("lower the model again with this version of Quoin");
  }
  if (const uint32_t unknown = header_.required_features & ~kKnownFeatures; unknown != 0) {
    fault_.fail(Code::program_version, "needs features {:#x} that this reader does not know", unknown);
    return fault_.hint("use a newer version of Quoin");
  }
  return true;
}

bool LayoutReader::check_fields() {
  if (header_.file_size != file_.size()) {
    bad(fault_, "the header says {} bytes, the file has {}", header_.file_size, file_.size());
    return fault_.hint(header_.file_size > file_.size() ? "the file is truncated" : "bytes were appended");
  }
  if (header_.header_size != sizeof(Header)) return bad(fault_, "header of {} bytes", header_.header_size);
  if (header_.table_offset != sizeof(Header)) return bad(fault_, "segment table at {}", header_.table_offset);
  if (header_.reserved != 0) return bad(fault_, "reserved bytes are not zero");
  if (header_.segment_count > kMaxSegments)
    return fault_.fail(Code::limit, "{} segments, at most {}", header_.segment_count, kMaxSegments);
  return true;
}

bool LayoutReader::header(Layout& to) {
  if (file_.size() < sizeof header_) {
    bad(fault_, "{} bytes, fewer than the {} of a header", file_.size(), sizeof header_);
    return fault_.hint("the file is truncated");
  }
  std::memcpy(&header_, file_.data(), sizeof header_);
  to = {header_.major, header_.minor, header_.required_features, {}};
  return check_magic() && check_version() && check_fields();
}

uint32_t required_alignment(uint32_t kind) {
  return kind == kWeightsSegment ? kWeightsAlignment : kind == kGraphSegment || kind == kBlobSegment ? 64 : 8;
}
static_assert(kGraphAlignment == 64 && kBlobAlignment == 64);

bool all_zero(Bytes bytes) {
  for (const std::byte b : bytes)
    if (b != std::byte{0}) return false;
  return true;
}

// Only one offset is legal.
bool LayoutReader::check_place(const SegmentEntry& entry) {
  const uint32_t alignment = entry.alignment;
  if (!is_power_of_two(alignment) || alignment > 65536 || alignment < required_alignment(entry.kind))
    return bad(fault_, "alignment {}", alignment);
  if ((entry.flags & ~uint32_t{kOptionalSegment}) != 0 || entry.reserved != 0) return bad(fault_, "unknown flags");
  const uint64_t expected = align_up(end_, uint64_t{alignment});
  if (entry.offset != expected) return bad(fault_, "starts at {}, expected {}", entry.offset, expected);
  if (entry.offset > file_.size() || entry.size > file_.size() - entry.offset)
    return bad(fault_, "bytes {} + {} are outside the file of {}", entry.offset, entry.size, file_.size());
  return all_zero(file_.subspan(end_, entry.offset - end_)) || bad(fault_, "the padding before it is not zero");
}

bool LayoutReader::check_segment(const SegmentEntry& entry) {
  if (!check_place(entry)) return false;
  const uint32_t kind = entry.kind;
  const bool known = kind == kGraphSegment || kind == kWeightsSegment || kind == kBlobSegment ||
                     kind == kExternalSegment || kind == kTestSegment;
  if (!known && (entry.flags & kOptionalSegment) == 0) return newer("this reader does not know such segments");
  if (trust_weights_ && kind == kWeightsSegment) return true;
  return hash64(file_.subspan(entry.offset, entry.size)) == entry.hash || damaged();
}

bool LayoutReader::table(Arena& arena, Layout& to) {
  const uint64_t count = header_.segment_count, size = count * sizeof(SegmentEntry);
  if (size > file_.size() - sizeof(Header)) {
    bad(fault_, "{} segments do not fit the file", count);
    return fault_.at("segment table");
  }
  std::span<Segment> segments;
  std::span<SegmentEntry> entries;  // a copy: another process may write to the file
  if (!arena.make(count, segments, fault_) || !arena.make(count, entries, fault_)) return false;
  to.segments = {{segments.data(), count}};
  if (size != 0) std::memcpy(entries.data(), file_.data() + sizeof(Header), size);
  if (hash64(std::as_bytes(entries)) != header_.table_hash) {
    damaged();
    return fault_.at("segment table");
  }
  end_ += size;
  bool external = false;
  for (size_t i = 0; i < count; ++i) {
    Segment& segment = segments[i];
    segment.entry = entries[i];
    if (!check_segment(segment.entry))
      return fault_.at("segment {} ({})", i, std::string_view(kind_name(segment.entry.kind)));
    segment.bytes = file_.subspan(segment.entry.offset, segment.entry.size);
    end_ = segment.entry.offset + segment.entry.size;
    external = external || segment.entry.kind == kExternalSegment;
  }
  if (external != ((header_.required_features & kExternalWeights) != 0)) {
    bad(fault_, "the features named are not those of the segments");
    return fault_.at("header");
  }
  if (end_ == file_.size()) return true;
  bad(fault_, "{} bytes after the last segment", file_.size() - end_);
  return fault_.at("segment table");
}

}  // namespace

KindName kind_name(uint32_t kind) {
  KindName name;
  for (char& to : name.text) {
    const char c = static_cast<char>(kind & 0xff);
    to = c > ' ' && c < 0x7f ? c : '?';
    kind >>= 8;
  }
  return name;
}

bool read_layout(Bytes file, bool trust_weights, Arena& arena, Layout& to, Fault& fault) {
  LayoutReader reader(file, trust_weights, fault);
  if (!reader.header(to)) return fault.at("header");
  return reader.table(arena, to);
}

bool only_segment(const Layout& layout, uint32_t kind, Bytes& to, Fault& fault) {
  const Segment* found = nullptr;
  for (const Segment& segment : layout.segments) {
    if (segment.entry.kind != kind) continue;
    if (found != nullptr)
      return fault.fail(Code::program, "two segments of kind {}", std::string_view(kind_name(kind)));
    found = &segment;
  }
  if (found == nullptr) return fault.fail(Code::program, "there is no segment {}", std::string_view(kind_name(kind)));
  to = found->bytes;
  return true;
}

}  // namespace quoin::program::view
