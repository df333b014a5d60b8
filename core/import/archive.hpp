// Zip archives from foreign hands: whole members only, with limits.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"

namespace quoin::import {

// Owned bytes, 64-byte aligned, so that tensors may borrow them.
struct Blob {
  std::shared_ptr<std::byte> data;
  size_t size = 0;
  Bytes bytes() const { return {data.get(), size}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data.get()), size}; }
};

// Not thread safe. Messages name the archive and the member.
class Archive {
 public:
  // `bytes` must outlive the archive; `file` is its name for messages. Errors (model): not a zip, truncated, two
  // members of one name; (limit): too many members.
  static Result<Archive> open(Bytes bytes, std::string file);
  Archive(Archive&&) noexcept;
  Archive& operator=(Archive&&) noexcept;
  ~Archive();

  std::span<const std::string> names() const;
  bool contains(std::string_view name) const;
  // The whole member, its checksum verified. Errors: model (missing, garbled); limit: over `limit` bytes, or all reads
  // together expand the archive more than a model file can (a zip bomb).
  Result<Blob> read(std::string_view name, uint64_t limit);

 private:
  struct State;
  explicit Archive(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::import
