#include "host/elf_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/checked.hpp"

namespace quoin::host {
namespace {

// A linker writes about ten segments and far less than a page of notes; more is not a library of ours.
constexpr uint64_t kMaxSegments = 256;
constexpr uint64_t kMaxSections = 4096;
constexpr uint64_t kMaxTable = 1u << 20;     // bytes of notes, of the dynamic table, of the sections
constexpr uint64_t kMaxSymbols = 64u << 20;  // bytes of the symbol table, and of all names
constexpr uint64_t kMaxName = 4096;

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
constexpr uint16_t kMachine = EM_NONE;
#endif

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

// The zero-terminated text at `offset` of a table of names.
std::string name_at(std::string_view names, uint64_t offset) {
  if (offset >= names.size()) return {};
  const std::string_view rest = names.substr(offset, kMaxName);
  return std::string(rest.substr(0, rest.find('\0')));
}

// `bytes` as a list of structs; a part of one at the end does not count.
template <class T>
std::vector<T> structs(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * sizeof(T));
  return out;
}

}  // namespace

Result<ElfFile> ElfFile::open(int descriptor, uint64_t size) {
  ElfFile file(descriptor, size);
  QUOIN_CHECK(file.read_header());
  QUOIN_CHECK(file.read_segments());
  return file;
}

Status ElfFile::read(uint64_t offset, void* to, uint64_t size) const {
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

Status ElfFile::read_header() {
  if (!holds(0, SELFMAG)) return fail(Code::plugin, "not a shared library: the file is shorter than its magic number");
  QUOIN_CHECK(read(0, header_.e_ident, SELFMAG));
  if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(Code::plugin, "not a shared library: the file does not start with the ELF magic number");
  }
  QUOIN_CHECK(read(0, &header_, sizeof header_));
  if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(Code::plugin, "built for another architecture: not a 64-bit little-endian library");
  }
  if (header_.e_machine != kMachine) {
    return fail(Code::plugin, "built for another architecture: ELF machine {}, this host is {}", header_.e_machine,
                kMachine);
  }
  if (header_.e_type != ET_DYN) return fail(Code::plugin, "not a shared library: ELF type {}", header_.e_type);
  return {};
}

Status ElfFile::read_segments() {
  if (header_.e_phentsize != sizeof(Elf64_Phdr) || header_.e_phnum == 0 || header_.e_phnum > kMaxSegments) {
    return fail(Code::plugin, "the file is garbled: {} segments of {} header bytes", header_.e_phnum,
                header_.e_phentsize);
  }
  segments_.resize(header_.e_phnum);
  QUOIN_CHECK(read(header_.e_phoff, segments_.data(), segments_.size() * sizeof(Elf64_Phdr)));
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_NULL && !holds(segment.p_offset, segment.p_filesz)) {
      return fail(Code::plugin, "the file is truncated: a segment of {} bytes at {} is cut off", segment.p_filesz,
                  segment.p_offset);
    }
  }
  // The section table is the last thing in what linkers write, so it tells a copy that was cut short.
  if (header_.e_shoff != 0 && !holds(header_.e_shoff, uint64_t{header_.e_shnum} * header_.e_shentsize)) {
    return fail(Code::plugin, "the file is truncated: its section table at {} is cut off", header_.e_shoff);
  }
  return {};
}

Result<std::string> ElfFile::table(uint64_t offset, uint64_t size, uint64_t limit) const {
  if (size > limit)
    return fail(Code::plugin, "the file is garbled: a table of {} bytes; at most {} are read", size, limit);
  if (!holds(offset, size)) return fail(Code::plugin, "the file is truncated: a table at {} is cut off", offset);
  std::string bytes(size, '\0');
  QUOIN_CHECK(read(offset, bytes.data(), size));
  return bytes;
}

Result<std::string> ElfFile::note(const NoteKind& kind, uint64_t limit) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_NOTE) continue;
    if (segment.p_filesz > kMaxTable)
      return fail(Code::plugin, "the notes take {} bytes; at most {} are read", segment.p_filesz, kMaxTable);
    QUOIN_TRY(const std::string notes, table(segment.p_offset, segment.p_filesz, kMaxTable));
    QUOIN_TRY(const auto found, find_note(notes, segment.p_align == 8 ? 8 : 4, kind));
    if (!found) continue;
    if (found->size() > limit)
      return fail(Code::plugin, "the note takes {} bytes; at most {} are read", found->size(), limit);
    return std::string(*found);
  }
  return fail(Code::plugin, "no Quoin manifest in it (not a Quoin plugin)");
}

Result<uint64_t> ElfFile::offset_of(uint64_t address) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  }
  return fail(Code::plugin, "the file is garbled: address {:#x} lies in none of its segments", address);
}

Result<ElfDynamic> ElfFile::dynamic() const {
  ElfDynamic out;
  const auto segment = std::find_if(segments_.begin(), segments_.end(),
                                    [](const Elf64_Phdr& candidate) { return candidate.p_type == PT_DYNAMIC; });
  if (segment == segments_.end()) return out;
  QUOIN_TRY(const std::string bytes, table(segment->p_offset, segment->p_filesz, kMaxTable));
  std::vector<Elf64_Dyn> entries = structs<Elf64_Dyn>(bytes);
  entries.erase(std::find_if(entries.begin(), entries.end(), [](const Elf64_Dyn& e) { return e.d_tag == DT_NULL; }),
                entries.end());
  uint64_t names_at = 0, names_size = 0;
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_STRTAB) names_at = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) names_size = entry.d_un.d_val;
    if (entry.d_tag == DT_FLAGS) out.flags |= entry.d_un.d_val;
    if (entry.d_tag == DT_TEXTREL) out.flags |= DF_TEXTREL;
    if (entry.d_tag == DT_BIND_NOW) out.flags |= DF_BIND_NOW;
    if (entry.d_tag == DT_FLAGS_1) out.flags_1 = entry.d_un.d_val;
  }
  if (names_size == 0) return out;
  QUOIN_TRY(const uint64_t offset, offset_of(names_at));
  QUOIN_TRY(const std::string names, table(offset, names_size, kMaxSymbols));
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NEEDED) out.needed.push_back(name_at(names, entry.d_un.d_val));
    if (entry.d_tag == DT_RUNPATH || entry.d_tag == DT_RPATH) out.search.push_back(name_at(names, entry.d_un.d_val));
  }
  return out;
}

Result<std::vector<Elf64_Shdr>> ElfFile::sections() const {
  if (header_.e_shoff == 0 || header_.e_shnum == 0) return std::vector<Elf64_Shdr>();
  if (header_.e_shentsize != sizeof(Elf64_Shdr) || header_.e_shnum > kMaxSections)
    return fail(Code::plugin, "the file is garbled: {} sections of {} header bytes", header_.e_shnum,
                header_.e_shentsize);
  QUOIN_TRY(const std::string bytes, table(header_.e_shoff, uint64_t{header_.e_shnum} * sizeof(Elf64_Shdr), kMaxTable));
  return structs<Elf64_Shdr>(bytes);
}

Result<std::vector<ElfSymbol>> ElfFile::symbols() const {
  std::vector<ElfSymbol> out;
  QUOIN_TRY(const std::vector<Elf64_Shdr> all, sections());
  const auto found =
      std::find_if(all.begin(), all.end(), [](const Elf64_Shdr& section) { return section.sh_type == SHT_DYNSYM; });
  if (found == all.end() || found->sh_link >= all.size()) return out;
  QUOIN_TRY(const std::string symbols, table(found->sh_offset, found->sh_size, kMaxSymbols));
  QUOIN_TRY(const std::string names, table(all[found->sh_link].sh_offset, all[found->sh_link].sh_size, kMaxSymbols));
  uint64_t named = 0;  // names may overlap, so their sum is not bounded by the table's size
  for (const Elf64_Sym& symbol : structs<Elf64_Sym>(symbols)) {
    if (symbol.st_name == 0) continue;
    std::string name = name_at(names, symbol.st_name);
    if ((named += name.size()) > kMaxSymbols)
      return fail(Code::plugin, "the names of its symbols take more than {} bytes", kMaxSymbols);
    out.push_back({std::move(name), static_cast<uint8_t>(ELF64_ST_BIND(symbol.st_info)),
                   static_cast<uint8_t>(ELF64_ST_TYPE(symbol.st_info)), symbol.st_shndx != SHN_UNDEF});
  }
  return out;
}

}  // namespace quoin::host
