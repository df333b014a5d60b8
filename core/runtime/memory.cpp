#include "runtime/memory.hpp"

#include <algorithm>

#include "base/checked.hpp"

namespace quoin::runtime {

Result<Block> Block::make(const quoin_host& host, const Region& given, uint64_t size, uint64_t alignment,
                          std::string_view what) {
  if (given.data != nullptr) {
    if (given.size < size) return fail(Code::limit, "{} bytes given for {}, {} needed", given.size, what, size);
    if (reinterpret_cast<uintptr_t>(given.data) % alignment != 0)
      return fail(Code::input, "the memory given for {} is not aligned to {} bytes", what, alignment);
    return Block(nullptr, static_cast<std::byte*>(given.data), given.size, alignment);
  }
  const uint64_t bytes = align_up(std::max<uint64_t>(size, 1), alignment);
  auto* data = static_cast<std::byte*>(host.alloc(host.self, bytes, alignment));
  if (data == nullptr) return fail(Code::limit, "no memory for {} bytes of {}", bytes, what);
  return Block(&host, data, bytes, alignment);
}

Block::Block(Block&& other) noexcept
    : host_(other.host_),
      data_(std::exchange(other.data_, nullptr)),
      size_(other.size_),
      alignment_(other.alignment_) {}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(host_, other.host_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(alignment_, other.alignment_);
  return *this;
}

Block::~Block() {
  if (host_ != nullptr && data_ != nullptr) host_->free(host_->self, data_, size_, alignment_);
}

}  // namespace quoin::runtime
