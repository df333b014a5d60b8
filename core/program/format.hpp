// Constants of the .quoin file (docs/format.md). All integers little-endian.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace quoin::program {

static_assert(std::endian::native == std::endian::little, "headers are read and written in place");

inline constexpr uint16_t kFormatMajor = 1, kFormatMinor = 2;

// High bit, CR LF, ^Z, LF: a transfer that strips the eighth bit or rewrites line ends shows at once.
inline constexpr std::array<unsigned char, 8> kMagic = {0x89, 'Q', 'U', 'N', '\r', '\n', 0x1a, '\n'};

constexpr uint32_t fourcc(const char (&text)[5]) {
  return static_cast<uint32_t>(text[0]) | static_cast<uint32_t>(text[1]) << 8 | static_cast<uint32_t>(text[2]) << 16 |
         static_cast<uint32_t>(text[3]) << 24;
}
inline constexpr uint32_t kGraphSegment = fourcc("GRPH");
inline constexpr uint32_t kWeightsSegment = fourcc("WGTS");
inline constexpr uint32_t kExternalSegment = fourcc("XWGT");  // in the place of WGTS: names the file that holds it
inline constexpr uint32_t kBlobSegment = fourcc("BLOB");
inline constexpr uint32_t kTestSegment = fourcc("TEST");  // optional; tests.hpp

inline constexpr uint32_t kGraphAlignment = 64, kWeightsAlignment = 4096, kBlobAlignment = 64;
inline constexpr uint64_t kDataAlignment = 64;  // of every span inside the weights segment, and of arena offsets

struct Header {
  std::array<unsigned char, 8> magic;
  uint16_t major, minor;
  uint32_t header_size;  // 64
  uint64_t file_size;
  uint64_t table_offset;  // 64
  uint32_t segment_count;
  uint32_t required_features;  // bits a reader must know: Feature
  uint64_t table_hash;         // XXH3-64 of the segment table
  uint64_t reserved;           // zero
  uint64_t header_hash;        // XXH3-64 of the 56 bytes before
};
static_assert(sizeof(Header) == 64 && offsetof(Header, header_hash) == 56);

enum Feature : uint32_t {
  kExternalWeights = 1,  // there is a segment XWGT and no WGTS
  kInPlace = 2,          // a node writes over an operand
};
inline constexpr uint32_t kKnownFeatures = kExternalWeights | kInPlace;

enum SegmentFlags : uint32_t { kOptionalSegment = 1 };  // a reader that does not know the kind may skip it

struct SegmentEntry {
  uint32_t kind;  // fourcc
  uint32_t flags;
  uint64_t offset;     // from the start of the file
  uint64_t size;       // without padding
  uint32_t alignment;  // power of two, 8 .. 65536
  uint32_t reserved;   // zero
  uint64_t hash;       // XXH3-64 of the bytes
};
static_assert(sizeof(SegmentEntry) == 40);

// What a file may hold at most; reached only by files made to harm.
inline constexpr uint32_t kMaxSegments = 1u << 16;
inline constexpr uint64_t kMaxGraphBytes = 1ull << 30;
inline constexpr uint64_t kMaxNodes = 1ull << 20;   // over all graphs
inline constexpr uint64_t kMaxValues = 1ull << 22;  // over all graphs
inline constexpr size_t kMaxDelegates = kMaxSegments - 2;
inline constexpr size_t kMaxMethods = 1u << 10;
inline constexpr size_t kMaxStates = 1u << 16;     // per method
inline constexpr size_t kMaxAttrs = 64;            // per node
inline constexpr size_t kMaxName = 64u << 10;      // bytes of a name, module path or text attribute
inline constexpr size_t kMaxMetadata = 16u << 20;  // bytes of one metadata value

}  // namespace quoin::program
