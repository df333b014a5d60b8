#include "base/map.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace quoin {
namespace {

bool os_fault(const char* doing, Fault& fault) {
  const int reason = errno;
  const Code code = reason == ENOENT || reason == ENOTDIR ? Code::not_found : Code::io;
  return fault.fail(code, "cannot {}: {}", doing,
                    reason == ELOOP ? "it is a symbolic link, which is not followed" : std::strerror(reason));
}

bool map_open(int file, std::span<const std::byte>& out, Fault& fault) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return os_fault("inspect the file", fault);
  if (!S_ISREG(info.st_mode)) return fault.fail(Code::io, "not a regular file");
  out = {};
  if (info.st_size == 0) return true;
  const auto size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) return os_fault("map", fault);
  out = {static_cast<const std::byte*>(data), size};
  return true;
}

bool map_at(int folder, const char* name, int flags, std::span<const std::byte>& out, Fault& fault) {
  const int file = ::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
  if (file < 0) return os_fault("open", fault);
  const bool mapped = map_open(file, out, fault);
  ::close(file);
  return mapped;
}

}  // namespace

bool map_file(const char* path, std::span<const std::byte>& out, Fault& fault) {
  return map_at(AT_FDCWD, path, 0, out, fault) || fault.at("{}", path);
}

bool map_file_in(const char* folder, const char* name, std::span<const std::byte>& out, Fault& fault) {
  const int at = ::open(*folder == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return os_fault("open its folder", fault);
  const bool mapped = map_at(at, name, O_NOFOLLOW, out, fault);
  ::close(at);
  return mapped;
}

void unmap(std::span<const std::byte> bytes) {
  if (bytes.data() != nullptr) ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace quoin
