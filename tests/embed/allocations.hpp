// Counts what the process takes from the heap: executables that link allocations.cpp replace the C library's functions
// for themselves and all libraries that they load.
#pragma once

#include <atomic>

namespace quoin::testing {

extern std::atomic<unsigned long> allocations;  // of all threads, since the start of the process

}  // namespace quoin::testing
