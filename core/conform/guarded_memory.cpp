#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.hpp"
#include "conform/test_host.hpp"

namespace quoin::conform {
namespace {

constexpr int kCanary = 0xa5;

uint64_t page_size() {
  static const auto size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

// Pages: one forbidden, those of the data, slack for alignments above a page, one forbidden.
GuardedMemory::GuardedMemory(uint64_t size, uint64_t alignment) : size_(size) {
  const uint64_t page = page_size();
  const auto room = checked_add(std::max<uint64_t>(size, 1), std::max(alignment, page) + 3 * page);
  if (!room) return;
  mapped_ = *room / page * page;
  base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base_ == MAP_FAILED) {
    base_ = nullptr;
    return;
  }
  char* const first = static_cast<char*>(base_) + page;
  char* const end = static_cast<char*>(base_) + mapped_ - page;
  const uint64_t misfit = (reinterpret_cast<uintptr_t>(end) - size) % std::max<uint64_t>(alignment, 1);
  char* const data = end - size - misfit;
  std::memset(data + size, kCanary, misfit);
  data_ = data;
  mprotect(base_, page, PROT_NONE);
  mprotect(end, page, PROT_NONE);
  const uint64_t unused = (static_cast<uint64_t>(data - first)) / page * page;
  if (unused != 0) mprotect(first, unused, PROT_NONE);
}

GuardedMemory::~GuardedMemory() {
  if (base_ != nullptr) munmap(base_, mapped_);
}

GuardedMemory::GuardedMemory(GuardedMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

bool GuardedMemory::intact() const {
  if (data_ == nullptr) return true;
  const auto* at = static_cast<const unsigned char*>(data_) + size_;
  const auto* end = static_cast<const unsigned char*>(base_) + mapped_ - page_size();
  return std::all_of(at, end, [](unsigned char c) { return c == kCanary; });
}

void GuardedMemory::forbid() const {
  if (base_ != nullptr) mprotect(base_, mapped_, PROT_NONE);
}

void GuardedMemory::read_only() const {
  if (data_ == nullptr) return;
  const uint64_t page = page_size();
  char* const first = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(data_) / page * page);
  mprotect(first, static_cast<size_t>(static_cast<char*>(base_) + mapped_ - page - first), PROT_READ);
}

}  // namespace quoin::conform
