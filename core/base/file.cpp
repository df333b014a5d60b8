#include "base/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/map.hpp"

namespace quoin {
namespace {

Failure os_error(const std::string& path, const char* doing) {
  const int reason = errno;
  const Code code = reason == ENOENT || reason == ENOTDIR ? Code::not_found : Code::io;
  return fail(code, "cannot {}: {}", doing, std::strerror(reason)).at("{}", path);
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  Bytes bytes;
  Fault fault;
  if (!map_file(path.c_str(), bytes, fault)) return fault.failure();
  return MappedFile(bytes.data(), bytes.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() { unmap(bytes()); }

void MappedFile::release(Bytes part) const {
  if (part.empty()) return;
  // Whole pages; what lies beside the part in them is read again when it is touched.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<std::string> read_text(const std::string& path, uint64_t limit) {
  QUOIN_TRY(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  if (bytes.size() > limit)
    return fail(Code::limit, "{} bytes, more than the {} allowed", bytes.size(), limit).at("{}", path);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

AtomicFile::AtomicFile(int descriptor, std::string path, std::string temporary)
    : descriptor_(descriptor), path_(std::move(path)), temporary_(std::move(temporary)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)) {}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  // A rename would replace a folder, a device or a pipe by a file.
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return fail(Code::io, "cannot write: it exists and is not a regular file").at("{}", path).hint("name a new file");
  if (path.empty()) return fail(Code::not_found, "cannot write a file without a name");
  std::string name = path + ".XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return os_error(path, "create");
  return AtomicFile(descriptor, path, name);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

Status AtomicFile::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status AtomicFile::commit() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(descriptor_, 0666 & ~mask) != 0) return os_error(path_, "set the mode of");
  if (::fsync(descriptor_) != 0) return os_error(path_, "sync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return os_error(path_, "rename into place");
  ::close(std::exchange(descriptor_, -1));
  // The rename itself is durable only once the folder is on disk.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const Descriptor directory(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
  return {};
}

Status write_file(const std::string& path, Bytes bytes) {
  QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
  QUOIN_CHECK(file.write(bytes));
  return file.commit();
}

}  // namespace quoin
