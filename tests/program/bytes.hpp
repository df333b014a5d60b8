// Files in memory: reading them, and making the checksums of a damaged one right again.
#pragma once

#include <xxhash.h>

#include <cstring>

#include "program/file.hpp"
#include "program/format.hpp"

namespace quoin::program::testing {

using FileBytes = std::vector<std::byte>;

inline Result<Model> read_bytes(const FileBytes& file) {
  const auto owner = std::make_shared<FileBytes>(file);
  return read(owner, *owner, "small.quoin");
}

inline Header header_of(const FileBytes& file) {
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  return header;
}
inline void put_header(FileBytes& file, Header header) {
  header.header_hash = XXH3_64bits(&header, offsetof(Header, header_hash));
  std::memcpy(file.data(), &header, sizeof header);
}
inline std::vector<SegmentEntry> table_of(const FileBytes& file) {
  std::vector<SegmentEntry> table(header_of(file).segment_count);
  if (!table.empty()) std::memcpy(table.data(), file.data() + sizeof(Header), table.size() * sizeof(SegmentEntry));
  return table;
}
inline void put_table(FileBytes& file, const std::vector<SegmentEntry>& table) {
  const size_t size = table.size() * sizeof(SegmentEntry);
  if (size != 0) std::memcpy(file.data() + sizeof(Header), table.data(), size);
  Header header = header_of(file);
  header.table_hash = XXH3_64bits(table.data(), size);
  put_header(file, header);
}
// Recomputes every checksum; segments whose place is outside the file keep theirs.
inline void repair(FileBytes& file) {
  std::vector<SegmentEntry> table = table_of(file);
  for (SegmentEntry& entry : table)
    if (entry.offset <= file.size() && entry.size <= file.size() - entry.offset)
      entry.hash = XXH3_64bits(file.data() + entry.offset, entry.size);
  put_table(file, table);
}

}  // namespace quoin::program::testing
