#include "runtime/memory.hpp"

#include <algorithm>

#include "base/checked.hpp"

namespace quoin::runtime {

bool Block::set(const quoin_host& host, const Region& given, uint64_t size, uint64_t alignment, const char* what,
                Fault& fault) {
  void* data = given.data;
  uint64_t bytes = given.size;
  if (data != nullptr) {
    if (bytes < size) return fault.fail(Code::limit, "{} bytes given for {}, {} needed", bytes, what, size);
    if (reinterpret_cast<uintptr_t>(data) % alignment != 0)
      return fault.fail(Code::input, "the memory given for {} is not aligned to {} bytes", what, alignment);
  } else {
    bytes = align_up(std::max<uint64_t>(size, 1), alignment);
    data = host.alloc(host.self, bytes, alignment);
    if (data == nullptr) return fault.fail(Code::limit, "no memory for {} bytes of {}", bytes, what);
  }
  clear();
  host_ = given.data == nullptr ? &host : nullptr;
  data_ = static_cast<std::byte*>(data);
  size_ = bytes;
  alignment_ = alignment;
  return true;
}

void Block::clear() {
  if (host_ != nullptr && data_ != nullptr) host_->free(host_->self, data_, size_, alignment_);
  data_ = nullptr;
}

}  // namespace quoin::runtime
