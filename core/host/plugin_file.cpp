#include "host/plugin_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "host/elf_file.hpp"

namespace quoin::host {
namespace {

constexpr uint64_t kMaxSealed = uint64_t{1} << 30;
constexpr size_t kBlock = 256u << 10;

// Loading a library runs its code with our rights, so nobody but us and root may be able to write it.
Status check_trust(const struct stat& info) {
  if (!S_ISREG(info.st_mode)) return fail(Code::plugin, "not a regular file");
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return fail(Code::plugin, "it belongs to user {}, not to you or root", info.st_uid)
        .hint("copy it, or change its owner");
  }
  if ((info.st_mode & S_IWOTH) != 0) return fail(Code::plugin, "everybody may write to it").hint("run chmod o-w on it");
  return {};
}

Status write_all(int descriptor, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(descriptor, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(Code::io, "copying it into memory failed: {}", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

// The dynamic loader takes a name that it knows for the library that it knows, without looking at the file. Descriptors
// are numbered anew and paths replaced, so a name must not come twice: a counter is spelled in front of the last part,
// "./" for a one and "/" for a zero, neither of which changes what the path means.
std::string fresh_spelling(const std::string& folder, const std::string& file) {
  static std::atomic<uint64_t> count{0};
  std::string name = folder + "/";
  for (uint64_t bits = ++count; bits != 0; bits >>= 1) name += (bits & 1) != 0 ? "./" : "/";
  return name + file;
}

// "/proc/1234/fd" as the mounted /proc numbers this process, or "". Not /proc/self: a debugger opens the name, too.
std::string descriptor_folder() {
  std::error_code none;
  const auto self = std::filesystem::read_symlink("/proc/self", none);
  return none ? std::string() : "/proc/" + self.string() + "/fd";
}

}  // namespace

Result<PluginFile> PluginFile::open(const std::string& path) {
  // Not blocking: a pipe that somebody named *.so must not stop the search.
  PluginFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path);
  if (file.descriptor_ < 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::not_found : Code::io;
    return fail(code, "cannot open it: {}", std::strerror(errno));
  }
  QUOIN_CHECK(file.remember());
  QUOIN_CHECK(check_trust(file.info_));
  return file;
}

Result<PluginFile> PluginFile::adopt(int descriptor, const std::string& path) {
  PluginFile file(descriptor, path);
  QUOIN_CHECK(file.remember());
  return file;
}

PluginFile::PluginFile(PluginFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)), info_(other.info_) {}

PluginFile::~PluginFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status PluginFile::remember() {
  if (fstat(descriptor_, &info_) != 0) return fail(Code::io, "reading failed: {}", std::strerror(errno));
  return {};
}

Status PluginFile::read(const std::function<Status(std::span<const char>)>& take) const {
  std::vector<char> block(std::min<uint64_t>(kBlock, size()));
  for (uint64_t at = 0; at < size();) {
    const ssize_t got = pread(descriptor_, block.data(), block.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Code::io, "reading failed: {}", std::strerror(errno));
    if (got == 0) return fail(Code::io, "the file became shorter while it was read");
    const auto count = std::min(static_cast<uint64_t>(got), size() - at);
    QUOIN_CHECK(take(std::span<const char>(block.data(), count)));
    at += count;
  }
  return {};
}

Result<PluginFile> PluginFile::sealed() const {
  if (size() > kMaxSealed) return fail(Code::limit, "it has {} bytes; at most {} are copied", size(), kMaxSealed);
  const std::string name = std::filesystem::path(path_).filename().string().substr(0, 200);  // shows in /proc/*/maps
  PluginFile copy(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING), path_);
  if (copy.descriptor_ < 0) return fail(Code::io, "no memory file to copy it into: {}", std::strerror(errno));
  QUOIN_CHECK(read([&](std::span<const char> bytes) { return write_all(copy.descriptor_, bytes); }));
  if (fcntl(copy.descriptor_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(Code::io, "its copy in memory cannot be sealed: {}", std::strerror(errno));
  QUOIN_CHECK(copy.remember());
  return copy;
}

Result<bool> PluginFile::uses_own_folder() const {
  QUOIN_TRY(const ElfFile file, ElfFile::open(descriptor_, size()));
  QUOIN_TRY(const ElfDynamic dynamic, file.dynamic());
  const auto relative = [](const std::string& text) {
    return text.find("$ORIGIN") != std::string::npos || text.find("${ORIGIN}") != std::string::npos;
  };
  return std::any_of(dynamic.search.begin(), dynamic.search.end(), relative) ||
         std::any_of(dynamic.needed.begin(), dynamic.needed.end(), relative);
}

Status PluginFile::unchanged(const struct stat& now) const {
  const bool same = now.st_dev == info_.st_dev && now.st_ino == info_.st_ino && now.st_size == info_.st_size &&
                    now.st_mtim.tv_sec == info_.st_mtim.tv_sec && now.st_mtim.tv_nsec == info_.st_mtim.tv_nsec;
  if (same) return {};
  return fail(Code::io, "it was replaced or changed since it was checked").hint("run it again");
}

Result<std::string> PluginFile::load_name() const {
  struct stat now {};
  if (fstat(descriptor_, &now) != 0) return fail(Code::io, "reading failed: {}", std::strerror(errno));
  QUOIN_CHECK(unchanged(now));
  QUOIN_TRY(const bool own_folder, uses_own_folder());
  const std::string descriptors = descriptor_folder();
  if (!own_folder && !descriptors.empty()) return fresh_spelling(descriptors, std::to_string(descriptor_));
  if (stat(path_.c_str(), &now) != 0) return fail(Code::io, "it is gone: {}", std::strerror(errno));
  QUOIN_CHECK(unchanged(now));
  const std::filesystem::path path = std::filesystem::absolute(path_);
  return fresh_spelling(path.parent_path().string(), path.filename().string());
}

}  // namespace quoin::host
