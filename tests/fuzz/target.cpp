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

namespace {

bool some_accepted = false;

}  // namespace

void accepted() { some_accepted = true; }
bool any_accepted() { return some_accepted; }

MemoryFile::MemoryFile(const std::string& name) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
  require(descriptor_ >= 0, "there are files in memory");
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  if (name.empty()) return;
  std::string folder = "/tmp/quoin-fuzz-XXXXXX";
  require(::mkdtemp(folder.data()) != nullptr, "there are folders for temporary files");
  const std::string link = folder + "/" + name;
  require(::symlink(path_.c_str(), link.c_str()) == 0, "a file in memory can have a name");
  folder_ = folder;
  path_ = link;
}

MemoryFile::~MemoryFile() {
  if (!folder_.empty()) {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  ::close(descriptor_);
}

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
