// What is asked of a shared library before it is loaded, or after it would not go: notes, needs, flags, symbols.
#pragma once

#include <elf.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin::host {

// An ELF note is found by the vendor name (at most 16 bytes, terminator included) and a type of the vendor's choice.
struct NoteKind {
  std::string_view vendor;
  uint32_t type;
};

struct ElfDynamic {
  std::vector<std::string> needed;  // names of the libraries it depends on
  std::vector<std::string> search;  // DT_RUNPATH or DT_RPATH: colon-separated folders, may hold $ORIGIN
  uint64_t flags = 0, flags_1 = 0;  // DF_* (also of the older entries DT_TEXTREL and DT_BIND_NOW), DF_1_*
};

struct ElfSymbol {  // of the dynamic symbol table
  std::string name;
  uint8_t binding = 0, type = 0;  // STB_*, STT_*
  bool defined = false;
};

// A 64-bit little-endian shared library for this machine's architecture. Reads with bounds, never maps: a file that
// shrinks meanwhile is an error, not a signal. The descriptor must stay open while the object lives.
class ElfFile {
 public:
  // Refuses files that end before the segments and sections they announce, because the dynamic loader would map what is
  // not there. Errors (plugin): not ELF, other architecture, truncated or garbled. io: reading failed.
  static Result<ElfFile> open(int descriptor, uint64_t size);
  // Contents of the first note of this kind. Errors (plugin): no such note, garbled, above `limit` bytes.
  Result<std::string> note(const NoteKind& kind, uint64_t limit) const;
  // Errors (plugin): garbled, or longer than any linker makes it.
  Result<ElfDynamic> dynamic() const;
  Result<std::vector<ElfSymbol>> symbols() const;
  const std::vector<Elf64_Phdr>& segments() const { return segments_; }  // they lie within the file

 private:
  ElfFile(int descriptor, uint64_t size) : descriptor_(descriptor), size_(size) {}
  bool holds(uint64_t offset, uint64_t size) const { return offset <= size_ && size <= size_ - offset; }
  Status read(uint64_t offset, void* to, uint64_t size) const;
  Status read_header();
  Status read_segments();
  // The content of a table of at most `limit` bytes.
  Result<std::string> table(uint64_t offset, uint64_t size, uint64_t limit) const;
  Result<std::vector<Elf64_Shdr>> sections() const;
  // Where the byte that is mapped at `address` lies in the file.
  Result<uint64_t> offset_of(uint64_t address) const;

  int descriptor_;
  uint64_t size_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
};

}  // namespace quoin::host
