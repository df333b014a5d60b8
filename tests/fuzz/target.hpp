// What every fuzz target shares. A target is one file with LLVMFuzzerTestOneInput; libFuzzer's main runs it with
// -Dfuzz=true (docs/fuzzing.md), driver.cpp in every other build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

extern "C" {
// Must return 0. Whatever is wrong ends the process: crash, sanitizer report, abort().
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// A target whose format has checksums changes what they protect and makes them right again. Returns the new size.
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed);
// Changes random bytes; of libFuzzer, or of driver.cpp.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
}

namespace quoin::fuzz {

// Ends the process with a message when a promise is broken.
void require(bool kept, const char* promise);

// Targets say so where an input was legal. Some seed must be, or everything ends before what is to be fuzzed begins.
void accepted();
bool any_accepted();

// A file in memory under a path, for functions that open files. Its content is replaced by every input.
class MemoryFile {
 public:
  // `name`: of the file, for functions that look at it; "": none in particular.
  explicit MemoryFile(const std::string& name = {});
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& put(std::span<const uint8_t> content);  // the path
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string path_, folder_;  // folder: of the link that has the name
};

}  // namespace quoin::fuzz
