// Stands in front of the allocator of glibc.
#include "limits.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define QUOIN_OTHER_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define QUOIN_OTHER_ALLOCATOR
#endif

namespace quoin::fuzz {
namespace {

std::atomic<size_t> largest{0};

}  // namespace

bool counts_allocations() {
#ifdef QUOIN_OTHER_ALLOCATOR
  return false;
#else
  return true;
#endif
}

size_t largest_allocation() { return largest; }

#ifndef QUOIN_OTHER_ALLOCATOR
namespace {

void note(size_t size) {
  if (size > kMaxAllocation) {
    constexpr char kText[] = "a request for more memory than one input may need\n";
    (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
    std::abort();
  }
  size_t known = largest;
  while (size > known && !largest.compare_exchange_weak(known, size)) {
  }
}

}  // namespace
#endif

}  // namespace quoin::fuzz

#ifndef QUOIN_OTHER_ALLOCATOR

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) {
  quoin::fuzz::note(size);
  return __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  size_t bytes = 0;
  quoin::fuzz::note(__builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes);
  return __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) {
  quoin::fuzz::note(size);
  return __libc_realloc(old, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  quoin::fuzz::note(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** out, size_t alignment, size_t size) {
  quoin::fuzz::note(size);
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

}  // extern "C"

#endif
