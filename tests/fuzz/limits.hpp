// The limits that one input must keep, measured from outside the code under test.
#pragma once

#include <cstddef>

namespace quoin::fuzz {

inline constexpr size_t kMaxAllocation = 256u << 20;  // bytes, of one request
inline constexpr double kMaxSeconds = 1;              // of processor time, for one input

// Sanitized builds have an allocator of their own, which checks the limit (ASAN_OPTIONS=max_allocation_size_mb) and
// tells nothing.
bool counts_allocations();
size_t largest_allocation();  // since the process began; a request over the limit aborts

}  // namespace quoin::fuzz
