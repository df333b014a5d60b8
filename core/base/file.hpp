// Files: read-only maps, bounded reads, atomic writes. Paths are UTF-8.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace quoin {

using Bytes = std::span<const std::byte>;

// A whole regular file, mapped read-only. Movable; the bytes live as long as the object. Errors: not_found, io.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  Bytes bytes() const { return {data_, size_}; }
  // `part` of the bytes is not needed soon: it stops counting as memory of this process. Reading it again is fine.
  void release(Bytes part) const;

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Text of a file of at most `limit` bytes. Errors: not_found, io, limit.
Result<std::string> read_text(const std::string& path, uint64_t limit = 64u << 20);

// Writes to a temporary file beside `path`; commit() syncs and renames it into place. Without commit() nothing
// remains: a reader sees the old file or the new one, never a part. Errors: io (also if `path` is a folder, a device or
// a pipe), not_found (folder missing).
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();
  Status write(Bytes bytes);
  Status commit();

 private:
  AtomicFile(int descriptor, std::string path, std::string temporary);
  int descriptor_;
  std::string path_, temporary_;
};

// The whole content at once through AtomicFile.
Status write_file(const std::string& path, Bytes bytes);
inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace quoin
