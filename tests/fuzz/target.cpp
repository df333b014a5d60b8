#include "target.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace quoin::fuzz {

void require(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "a promise is broken: %s\n", promise);
  std::abort();
}

MemoryFile::MemoryFile() : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
  require(descriptor_ >= 0, "there are files in memory");
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

const std::string& MemoryFile::put(std::span<const uint8_t> content) {
  require(::ftruncate(descriptor_, 0) == 0, "a file in memory can be emptied");
  for (size_t done = 0; done < content.size();) {
    const ssize_t written =
        ::pwrite(descriptor_, content.data() + done, content.size() - done, static_cast<off_t>(done));
    require(written > 0, "a file in memory can be written");
    done += static_cast<size_t>(written);
  }
  return path_;
}

}  // namespace quoin::fuzz
