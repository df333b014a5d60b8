#include "host/elf_note.hpp"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/checked.hpp"

namespace quoin::host {
namespace {

// A linker writes about ten segments and far less than a page of notes; more is not a library of ours.
constexpr uint64_t kMaxSegments = 256;
constexpr uint64_t kMaxNotes = 1u << 20;

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
constexpr uint16_t kMachine = EM_NONE;
#endif

class Reader {
 public:
  Reader(int descriptor, uint64_t size) : descriptor_(descriptor), size_(size) {}

  bool holds(uint64_t offset, uint64_t size) const { return offset <= size_ && size <= size_ - offset; }

  Status read(uint64_t offset, void* to, uint64_t size) const {
    if (!holds(offset, size)) {
      return fail(Code::plugin, "the file is truncated: it ends at byte {}, but byte {} is announced", size_, offset);
    }
    auto* at = static_cast<char*>(to);
    while (size != 0) {
      const ssize_t got = pread(descriptor_, at, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Code::io, "reading failed: {}", std::strerror(errno));
      if (got == 0) return fail(Code::plugin, "the file became shorter while it was read");
      at += got;
      offset += static_cast<uint64_t>(got);
      size -= static_cast<uint64_t>(got);
    }
    return {};
  }

 private:
  int descriptor_;
  uint64_t size_;
};

Result<Elf64_Ehdr> read_header(const Reader& file) {
  Elf64_Ehdr header{};
  if (!file.holds(0, SELFMAG))
    return fail(Code::plugin, "not a shared library: the file is shorter than its magic number");
  QUOIN_CHECK(file.read(0, header.e_ident, SELFMAG));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(Code::plugin, "not a shared library: the file does not start with the ELF magic number");
  }
  QUOIN_CHECK(file.read(0, &header, sizeof header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(Code::plugin, "built for another architecture: not a 64-bit little-endian library");
  }
  if (header.e_machine != kMachine) {
    return fail(Code::plugin, "built for another architecture: ELF machine {}, this host is {}", header.e_machine,
                kMachine);
  }
  if (header.e_type != ET_DYN) return fail(Code::plugin, "not a shared library: ELF type {}", header.e_type);
  return header;
}

Result<std::vector<Elf64_Phdr>> read_segments(const Reader& file, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > kMaxSegments) {
    return fail(Code::plugin, "the file is garbled: {} segments of {} header bytes", header.e_phnum,
                header.e_phentsize);
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  QUOIN_CHECK(file.read(header.e_phoff, segments.data(), segments.size() * sizeof(Elf64_Phdr)));
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NULL && !file.holds(segment.p_offset, segment.p_filesz)) {
      return fail(Code::plugin, "the file is truncated: a segment of {} bytes at {} is cut off", segment.p_filesz,
                  segment.p_offset);
    }
  }
  // The section table is the last thing in what linkers write, so it tells a copy that was cut short.
  if (header.e_shoff != 0 && !file.holds(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize)) {
    return fail(Code::plugin, "the file is truncated: its section table at {} is cut off", header.e_shoff);
  }
  return segments;
}

// One step through a block of notes.
struct Cursor {
  std::string_view rest;
  uint64_t alignment;

  // Takes `size` bytes and the padding after them (which the last note may lack); nothing when they are not there.
  std::optional<std::string_view> take(uint64_t size) {
    if (size > rest.size()) return std::nullopt;
    const std::string_view taken = rest.substr(0, size);
    rest.remove_prefix(std::min<uint64_t>(align_up<uint64_t>(size, alignment), rest.size()));
    return taken;
  }
};

// Contents of the wanted note in one block of notes, or nothing.
Result<std::optional<std::string_view>> find_note(std::string_view notes, uint64_t alignment, const NoteKind& kind) {
  Cursor cursor{notes, alignment};
  while (!cursor.rest.empty()) {
    Elf64_Nhdr header{};
    if (cursor.rest.size() < sizeof header)
      return fail(Code::plugin, "the file is garbled: a note has no whole header");
    std::memcpy(&header, cursor.rest.data(), sizeof header);
    cursor.rest.remove_prefix(sizeof header);
    const auto name = cursor.take(header.n_namesz);
    const auto contents = name ? cursor.take(header.n_descsz) : std::nullopt;
    if (!contents) return fail(Code::plugin, "the file is garbled: a note is longer than its segment");
    if (header.n_type == kind.type && *name == kind.vendor) return contents;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> read_note(int descriptor, uint64_t file_size, const NoteKind& kind, uint64_t limit) {
  const Reader file(descriptor, file_size);
  QUOIN_TRY(const Elf64_Ehdr header, read_header(file));
  QUOIN_TRY(const std::vector<Elf64_Phdr> segments, read_segments(file, header));
  std::string notes;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    if (segment.p_filesz > kMaxNotes)
      return fail(Code::plugin, "the notes take {} bytes; at most {} are read", segment.p_filesz, kMaxNotes);
    notes.resize(segment.p_filesz);
    QUOIN_CHECK(file.read(segment.p_offset, notes.data(), notes.size()));
    QUOIN_TRY(const auto found, find_note(notes, segment.p_align == 8 ? 8 : 4, kind));
    if (!found) continue;
    if (found->size() > limit)
      return fail(Code::plugin, "the note takes {} bytes; at most {} are read", found->size(), limit);
    return std::string(*found);
  }
  return fail(Code::plugin, "no Quoin manifest in it (not a Quoin plugin)");
}

}  // namespace quoin::host
