// Group 3: hosts that are older, newer or of another major, and the table as any of them reads it.
#include <algorithm>

#include "conform/declared.hpp"
#include "conform/group.hpp"
#include "conform/test_host.hpp"
#include "host/loader.hpp"
#include "host/registry.hpp"

namespace quoin::conform {
namespace {

constexpr uint32_t kFirstHost = QUOIN_END_OF(quoin_host, find_ext);  // bytes of the first release's table
constexpr uint32_t kNewMinor = 9999;
constexpr uint32_t kMoreBytes = 256;

Verdict verdict(const std::string& fault) { return fault.empty() ? passed() : failed(fault); }

TestHost::Options host_of(uint32_t minor, uint32_t struct_size) {
  TestHost::Options options;
  options.abi_minor = minor;
  options.struct_size = struct_size;
  return options;
}

// From the entry function to close(), as a host that has this table does it.
Status live(const Subject& subject, const quoin_host& host) {
  QUOIN_TRY(host::Library library, host::load_library(subject.path(), host));
  QUOIN_CHECK(host::check_table(library.table, host));
  auto opened = host::Backend::open(library.table, std::move(library.keep), host);
  return opened ? Status{} : fail(std::move(opened).error());
}

// Works where the plugin does not need more, else refuses.
Verdict meets(const Subject& subject, const TestHost::Options& options) {
  const auto manifest = subject.manifest();
  if (!manifest) return failed(manifest.error().text());
  const TestHost host(options);
  const Status lived = live(subject, host.table());
  const bool enough = manifest->abi_minor_required <= options.abi_minor;
  if (enough && !lived)
    return failed(fmt::format("does not work with a host of ABI {}.{}: {}", options.abi_major, options.abi_minor,
                              lived.error().text()));
  if (!enough && lived)
    return failed(fmt::format("works with a host of ABI {}.{}, although it says that it needs {}.{}", options.abi_major,
                              options.abi_minor, manifest->abi_major, manifest->abi_minor_required));
  if (!enough && lived.error().code != Code::plugin_abi)
    return failed("refuses without the status INCOMPATIBLE: " + lived.error().text());
  if (!host.faults().empty()) return failed(host.faults().front());
  return passed();
}

Verdict refuses_major(const Subject& subject, uint32_t major) {
  TestHost::Options options = host_of(QUOIN_ABI_MINOR, kFirstHost);
  options.abi_major = major;
  const TestHost host(options);
  const auto library = host::load_library(subject.path(), host.table());
  if (library)
    return failed(fmt::format("its entry function takes a host of ABI major {}; expected NULL and a reason", major));
  if (library.error().code != Code::plugin_abi)
    return failed("its entry function refuses without the status INCOMPATIBLE: " + library.error().text());
  return passed();
}

// A host without optional functions: a null function means "not offered".
Verdict without_extensions(const Subject& subject) {
  const TestHost host(host_of(QUOIN_ABI_MINOR, kFirstHost));
  quoin_host table = host.table();
  table.find_ext = nullptr;
  const Status lived = live(subject, table);
  return lived ? passed() : failed(lived.error().text());
}

// No instruction set beyond the architecture's first: the plugin works, or says what it misses.
Verdict without_isa(const Subject& subject) {
  TestHost::Options options;
  options.isa = 0;
  const TestHost host(options);
  const auto manifest = subject.manifest();
  if (!manifest) return failed(manifest.error().text());
  const Status lived = live(subject, host.table());
  if (lived) return passed();
  if (host::check_manifest(*manifest, host.table())) return failed(lived.error().text());
  return passed();  // the host would not have loaded it
}

Verdict static_table(const Subject& subject) {
  const auto first = host::load_library(subject.path(), subject.services().table());
  const auto second = host::load_library(subject.path(), subject.services().table());
  if (!first || !second) return failed(first ? second.error().text() : first.error().text());
  if (first->table != second->table) return failed("its entry function returns another table at every call");
  return passed();
}

Case about_table(const char* name, const Subject& subject, std::string (*check)(const quoin_plugin&)) {
  return {name, [&subject, check] {
            const auto table = subject.table();
            return table ? verdict(check(**table)) : failed(table.error().text());
          }};
}

}  // namespace

std::vector<Case> negotiation_cases(const Subject& subject) {
  std::vector<Case> cases = {
      {"first-release", [&] { return meets(subject, host_of(0, kFirstHost)); }},
      {"this-release", [&] { return meets(subject, host_of(QUOIN_ABI_MINOR, sizeof(quoin_host))); }},
      {"newer-host", [&] { return meets(subject, host_of(kNewMinor, sizeof(quoin_host) + kMoreBytes)); }},
      {"newest-host", [&] { return meets(subject, host_of(UINT32_MAX, sizeof(quoin_host) + kMoreBytes)); }},
      {"without-extensions", [&] { return without_extensions(subject); }},
      {"without-isa", [&] { return without_isa(subject); }},
      {"static-table", [&] { return static_table(subject); }},
      about_table("arrays", subject, check_arrays),
      about_table("texts", subject, check_texts),
      about_table("kernels", subject, check_kernels),
      about_table("extensions", subject, check_extensions)};
  for (const uint32_t major : {0u, QUOIN_ABI_MAJOR + 1, kNewMinor})
    cases.push_back({fmt::format("major-{}", major), [&subject, major] { return refuses_major(subject, major); }});
  return cases;
}

}  // namespace quoin::conform
