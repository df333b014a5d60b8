#include <algorithm>

#include "base/text.hpp"
#include "conform/group.hpp"

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

}  // namespace

std::vector<Case> manifest_cases(const Subject& subject) {
  return {{"usable", [&] { return usable(subject); }},
          {"roles", [&] { return known_roles(subject); }},
          {"equals-table", [&] { return equals_table(subject); }}};
}

}  // namespace quoin::conform
