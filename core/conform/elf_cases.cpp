// Group 1: what the file shows to the dynamic loader and to other libraries of the process.
#include <elf.h>

#include <algorithm>

#include "base/text.hpp"
#include "conform/group.hpp"
#include "host/elf_file.hpp"
#include "host/plugin_file.hpp"

namespace quoin::conform {
namespace {

using host::ElfDynamic;
using host::ElfSymbol;

constexpr size_t kMaxNamed = 8;

struct Contents {
  ElfDynamic dynamic;
  std::vector<ElfSymbol> symbols;
  std::vector<Elf64_Phdr> segments;
};

Result<Contents> read(const Subject& subject) {
  QUOIN_TRY(const host::PluginFile file, host::PluginFile::open(subject.path()));
  QUOIN_TRY(const host::ElfFile elf, host::ElfFile::open(file.descriptor(), file.size()));
  Contents out;
  QUOIN_TRY(out.dynamic, elf.dynamic());
  QUOIN_TRY(out.symbols, elf.symbols());
  out.segments = elf.segments();
  return out;
}

Verdict none_of(const std::vector<std::string>& found, const std::string& what, const std::string& remedy) {
  if (found.empty()) return passed();
  const size_t named = std::min(found.size(), kMaxNamed);
  return failed(fmt::format("{}: {}{}; {}", what, join(std::span(found).first(named), ", "),
                            named < found.size() ? fmt::format(" and {} more", found.size() - named) : "", remedy));
}

bool is_exported(const ElfSymbol& symbol) {
  return symbol.defined && symbol.binding != STB_LOCAL && !symbol.name.empty() && symbol.type != STT_SECTION;
}

Verdict one_export(const Contents& contents) {
  std::vector<std::string> others;
  bool entry = false;
  for (const ElfSymbol& symbol : contents.symbols) {
    if (!is_exported(symbol)) continue;
    if (symbol.name == QUOIN_ENTRY_SYMBOL)
      entry = true;
    else
      others.push_back(symbol.name);
  }
  if (contents.symbols.empty()) return failed("it has no table of dynamic symbols that can be read");
  if (!entry) return failed(fmt::format("it does not export {}", QUOIN_ENTRY_SYMBOL));
  return none_of(others, fmt::format("it exports more than {}", QUOIN_ENTRY_SYMBOL),
                 "compile with -fvisibility=hidden and link with the SDK's version script");
}

Verdict no_unique(const Contents& contents) {
  std::vector<std::string> unique;
  for (const ElfSymbol& symbol : contents.symbols)
    if (symbol.defined && symbol.binding == STB_GNU_UNIQUE) unique.push_back(symbol.name);
  return none_of(unique, "unique symbols keep it in memory for ever, and bind to those of other plugins",
                 "compile with -fno-gnu-unique, or link with the SDK's version script");
}

// Thread pools of their own, and a second C++ library beside the host's.
Verdict no_runtimes(const Contents& contents) {
  static constexpr const char* kForbidden[] = {"libgomp.", "libomp.", "libiomp5.", "libtbb.", "libc++.", "libc++abi."};
  std::vector<std::string> found;
  for (const std::string& needed : contents.dynamic.needed)
    if (std::ranges::any_of(kForbidden, [&](const char* name) { return needed.starts_with(name); }))
      found.push_back(needed);
  return none_of(found, "it needs a runtime of its own",
                 "use the host's parallel_for; link the C++ library that the host has (libstdc++), or none");
}

Verdict relocations(const Contents& contents) {
  const bool now = (contents.dynamic.flags & DF_BIND_NOW) != 0 || (contents.dynamic.flags_1 & DF_1_NOW) != 0;
  const bool relro = std::ranges::any_of(contents.segments, [](const auto& s) { return s.p_type == PT_GNU_RELRO; });
  if ((contents.dynamic.flags & DF_TEXTREL) != 0)
    return failed("it has relocations in its code (DF_TEXTREL); compile everything with -fPIC");
  if (!relro || !now)
    return failed(fmt::format("its table of addresses stays writable ({}); link with -Wl,-z,relro -Wl,-z,now",
                              relro ? "no BIND_NOW" : "no GNU_RELRO segment"));
  return passed();
}

Verdict stack(const Contents& contents) {
  const auto segment = std::ranges::find(contents.segments, Elf64_Word{PT_GNU_STACK}, &Elf64_Phdr::p_type);
  if (segment == contents.segments.end())
    return failed("no GNU_STACK segment, so the loader makes stacks executable; link with -Wl,-z,noexecstack");
  if ((segment->p_flags & PF_X) != 0)
    return failed("it asks for an executable stack; link with -Wl,-z,noexecstack, mark assembler files");
  return passed();
}

Verdict resident(const Contents& contents) {
  if ((contents.dynamic.flags_1 & DF_1_NODELETE) != 0)
    return failed("it is linked with -z nodelete, so it can never be unloaded");
  std::vector<std::string> found;
  for (const ElfSymbol& symbol : contents.symbols)
    if (!symbol.defined && symbol.name.starts_with("__cxa_thread_atexit")) found.push_back(symbol.name);
  return none_of(found, "thread_local objects with destructors keep it in memory until every thread that saw them ends",
                 "keep such objects in the backend or the delegate");
}

Case about_file(const char* name, const Subject& subject, Verdict (*check)(const Contents&)) {
  return {name, [&subject, check] {
            const auto contents = read(subject);
            return contents ? check(*contents) : failed(contents.error().text());
          }};
}

}  // namespace

std::vector<Case> exports_cases(const Subject& subject) {
  return {about_file("one-export", subject, one_export),
          about_file("no-unique-symbols", subject, no_unique),
          about_file("no-runtimes", subject, no_runtimes),
          about_file("relocations", subject, relocations),
          about_file("stack", subject, stack),
          about_file("can-be-unloaded", subject, resident)};
}

}  // namespace quoin::conform
