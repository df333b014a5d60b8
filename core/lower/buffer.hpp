#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace quoin::lower {

// Bytes on a 64-byte boundary, as blobs and named data must lie.
template <class T>
struct Aligned64 {
  using value_type = T;
  Aligned64() = default;
  template <class U>
  Aligned64(const Aligned64<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* at, size_t) { ::operator delete(at, std::align_val_t(64)); }
  friend bool operator==(const Aligned64&, const Aligned64&) { return true; }
};
using Buffer = std::vector<std::byte, Aligned64<std::byte>>;

}  // namespace quoin::lower
