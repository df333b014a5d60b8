// Bytes that need not stay in memory: written to a temporary file and mapped back, so that the system can drop and
// reload them as it likes.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/file.hpp"

namespace quoin {

// Any number of threads may use one. The file has no name once it is made: nothing remains, whatever ends the process.
class Spill {
 public:
  // A file in `folder`; "": in the folder for temporary files ($TMPDIR, else /var/tmp, which is seldom in memory).
  // Errors: not_found (no such folder), io (it cannot be written to).
  static Result<std::shared_ptr<Spill>> create(std::string folder = {});
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;
  ~Spill();

  struct Kept {
    std::shared_ptr<const void> owner;  // keeps the bytes; they may outlive the Spill
    Bytes bytes;                        // read-only, 4096-byte aligned
  };
  // A copy of `bytes`. Errors: io (the disk is full); what was kept before stays. Lets go every 64 MiB.
  Result<Kept> keep(Bytes bytes);
  // Bytes that were read count as memory of the process until they are let go: all of them, here. They stay valid and
  // are read from the file again. Free memory of the heap goes back to the system, too. Cheap; worth calling for every
  // few hundred megabytes read.
  void let_go();

 private:
  struct Mappings;
  Spill(int descriptor, std::string folder);
  const int descriptor_;
  const std::string folder_;
  std::mutex mutex_;
  uint64_t size_ = 0;  // of the file, a multiple of the page size
  std::shared_ptr<Mappings> mappings_;
};

}  // namespace quoin
