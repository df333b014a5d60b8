#include "base/spill.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

#include "base/checked.hpp"

namespace quoin {
namespace {

constexpr uint64_t kOften = uint64_t{64} << 20;  // bytes kept from one let_go() to the next
constexpr const char* kHint = "name a folder with free space with TMPDIR";

Failure os_error(const std::string& folder, const char* doing) {
  const int reason = errno;
  const Code code = reason == ENOENT || reason == ENOTDIR ? Code::not_found : Code::io;
  return fail(code, "cannot {} a temporary file: {}", doing, std::strerror(reason)).at("{}", folder).hint(kHint);
}

std::string temporary_folder() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

uint64_t page_size() { return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

// Where kept bytes are mapped. Those who hold some may outlive the Spill.
struct Spill::Mappings {
  std::mutex mutex;
  std::map<void*, size_t> sizes;
  void add(void* data, size_t size) {
    const std::lock_guard lock(mutex);
    sizes[data] = size;
  }
  void remove(void* data) {
    const std::lock_guard lock(mutex);
    ::munmap(data, sizes[data]);
    sizes.erase(data);
  }
};

Spill::Spill(int descriptor, std::string folder)
    : descriptor_(descriptor), folder_(std::move(folder)), mappings_(std::make_shared<Mappings>()) {}

void Spill::let_go() {
  const std::lock_guard lock(mappings_->mutex);
  for (const auto& [data, size] : mappings_->sizes) ::madvise(data, size, MADV_DONTNEED);
#ifdef __GLIBC__
  ::malloc_trim(0);  // large blocks that were freed between small ones that live on
#endif
}

Result<std::shared_ptr<Spill>> Spill::create(std::string folder) {
  if (folder.empty()) folder = temporary_folder();
  std::string name = folder + "/quoin-spill.XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return os_error(folder, "create");
  ::unlink(name.c_str());
  return std::shared_ptr<Spill>(new Spill(descriptor, std::move(folder)));
}

Spill::~Spill() { ::close(descriptor_); }

Result<Spill::Kept> Spill::keep(Bytes bytes) {
  if (bytes.empty()) return Kept{};
  uint64_t at = 0;
  {
    const std::lock_guard lock(mutex_);
    at = size_;
    size_ = align_up(size_ + bytes.size(), page_size());
  }
  for (uint64_t done = 0; done < bytes.size();) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error(folder_, "write to");
    done += static_cast<uint64_t>(written);
  }
  const size_t size = bytes.size();
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor_, static_cast<off_t>(at));
  if (data == MAP_FAILED) return os_error(folder_, "map");
  mappings_->add(data, size);
  std::shared_ptr<const void> owner(data, [all = mappings_](void* p) { all->remove(p); });
  if (at / kOften != (at + size) / kOften) let_go();
  return Kept{std::move(owner), {static_cast<const std::byte*>(data), size}};
}

}  // namespace quoin
