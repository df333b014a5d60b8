#include <elf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/file.hpp"
#include "base/text.hpp"
#include "conform/group.hpp"
#include "host/child.hpp"

namespace quoin::conform {
namespace {

Verdict verdict(const Status& status) { return status ? passed() : failed(status.error().text()); }

Verdict usable(const Subject& subject) {
  const auto manifest = subject.manifest();
  return manifest ? verdict(host::check_manifest(*manifest, subject.services().table()))
                  : failed(manifest.error().text());
}

Verdict known_roles(const Subject& subject) {
  const std::vector<std::string> known = {"quantizer", "compiler", "executor", "kernels"};
  const auto manifest = subject.manifest();
  if (!manifest) return failed(manifest.error().text());
  if (manifest->roles.empty()) return failed("it offers no role; expected at least one of " + join(known, ", "));
  for (const std::string& role : manifest->roles) {
    if (std::ranges::find(known, role) == known.end())
      return failed(fmt::format("\"{}\" is no role; expected {}", role, join(known, ", ")));
    if (std::ranges::count(manifest->roles, role) > 1) return failed(fmt::format("role \"{}\" is listed twice", role));
  }
  return passed();
}

Verdict equals_table(const Subject& subject) {
  const auto manifest = subject.manifest();
  const auto table = subject.table();
  if (!manifest || !table) return failed(manifest ? table.error().text() : manifest.error().text());
  return verdict(host::compare_with_table(*manifest, **table));
}

// A copy of the plugin, gone at the end.
class Copy {
 public:
  explicit Copy(const std::string& path) : path_(std::filesystem::temp_directory_path() / "quoin-conform-XXXXXX") {
    const int file = mkstemp(path_.data());
    if (file < 0) return;
    close(file);
    std::error_code failed;
    std::filesystem::copy_file(path, path_, std::filesystem::copy_options::overwrite_existing, failed);
    made_ = !failed && chmod(path_.c_str(), S_IRUSR | S_IWUSR) == 0;
  }
  ~Copy() { unlink(path_.c_str()); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  bool made() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

std::string words(const host::Manifest& m) {
  return fmt::format("{} {} {} {}.{}.{} [{}] [{}]", m.name, m.version, m.vendor, m.abi_major, m.abi_minor,
                     m.abi_minor_required, join(m.roles, ", "), join(m.isa_required, ", "));
}

Verdict same_manifest(const Subject& subject, const Copy& copy) {
  const auto before = subject.manifest(), after = host::read_manifest(copy.path());
  if (!before || !after) return failed(before ? after.error().text() : before.error().text());
  if (words(*before) != words(*after)) return failed(fmt::format("it says {} then {}", words(*before), words(*after)));
  return passed();
}

// The loader needs no section table; tools that shrink files drop it.
Verdict survives_without_sections(const Subject& subject) {
  const Copy copy(subject.path());
  auto bytes = read_text(subject.path(), UINT64_MAX);
  if (!copy.made() || !bytes) return skipped("no copy of it can be made");
  Elf64_Ehdr header{};
  if (bytes->size() < sizeof header) return failed("not an ELF file");
  std::memcpy(&header, bytes->data(), sizeof header);
  header.e_shoff = header.e_shnum = header.e_shstrndx = 0;
  std::memcpy(bytes->data(), &header, sizeof header);
  if (!write_file(copy.path(), as_bytes(*bytes))) return skipped("no copy of it can be written");
  return same_manifest(subject, copy);
}

Verdict survives_strip(const Subject& subject) {
  constexpr const char* kStrip = "/usr/bin/strip";
  if (access(kStrip, X_OK) != 0) return skipped(fmt::format("there is no {}", kStrip));
  const Copy copy(subject.path());
  if (!copy.made()) return skipped("no copy of it can be made");
  auto child = host::Child::start({kStrip, {"--strip-all", copy.path()}});
  if (!child) return skipped(child.error().text());
  const auto status = child->finish(host::Child::Clock::now() + std::chrono::seconds(10));
  if (status != 0) return skipped("strip fails: " + (status ? host::ending(*status) : "no end"));
  return same_manifest(subject, copy);
}

}  // namespace

std::vector<Case> manifest_cases(const Subject& subject) {
  return {{"usable", [&] { return usable(subject); }},
          {"roles", [&] { return known_roles(subject); }},
          {"equals-table", [&] { return equals_table(subject); }},
          {"without-sections", [&] { return survives_without_sections(subject); }},
          {"strip", [&] { return survives_strip(subject); }}};
}

}  // namespace quoin::conform
