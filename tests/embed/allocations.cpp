#include "allocations.hpp"

#include <cerrno>
#include <cstddef>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace quoin::testing {

std::atomic<unsigned long> allocations{0};

}  // namespace quoin::testing

extern "C" {

void* malloc(size_t size) {
  ++quoin::testing::allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++quoin::testing::allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  ++quoin::testing::allocations;
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  ++quoin::testing::allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

}  // extern "C"
