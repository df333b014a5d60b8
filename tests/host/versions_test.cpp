// The version matrix: plugins and hosts that are older, newer, narrower or wider than each other. Each pair works from
// the manifest to the last call, or gives one sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/loader.hpp"
#include "host/manifest.hpp"
#include "host/services.hpp"
#include "life.hpp"
#include "ops/abi_read.hpp"
#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using testing::CopyDelegate;
using testing::HostSizes;
using testing::PluginFolder;

struct HostKind {
  const char* name;
  uint32_t major, minor;
  int table;  // how much longer than this header's its quoin_host is
  HostSizes sizes;
};

constexpr int kWithoutQparams = -static_cast<int>(sizeof(const quoin_qparams*));
constexpr int kWithoutCancel = -static_cast<int>(sizeof(const uint32_t*));
constexpr int kWithoutNamed = -static_cast<int>(sizeof(&quoin_load_request::named));
constexpr int kWithoutExtensions = -static_cast<int>(sizeof(&quoin_host::find_ext));

const HostKind kNow{"now", QUOIN_ABI_MAJOR, 0, 0, {}};
const HostKind kNarrow{
    "narrow", QUOIN_ABI_MAJOR, 0, kWithoutExtensions, {kWithoutCancel, kWithoutNamed, kWithoutQparams}};
const HostKind kNewer{"newer", QUOIN_ABI_MAJOR, 9999, 0, {}};
const HostKind kWide{"wide", QUOIN_ABI_MAJOR, 9999, 32, {24, 40, 16}};
const HostKind kOtherMajor{"other_major", QUOIN_ABI_MAJOR + 1, 0, 0, {}};

// A host of that kind, and how a plugin fares on it: "works", or the sentence.
std::string fate(const std::string& variant, const HostKind& kind) {
  const Services services({1, 0, {}});
  quoin_host now = services.table();
  now.abi_major = kind.major;
  now.abi_minor = kind.minor;
  const testing::Resized<quoin_host> table(now, kind.table);
  const quoin_host& host = *table.get();
  const auto live = [&]() -> Result<std::string> {
    QUOIN_TRY(PluginFile file, PluginFile::open(PluginFolder::variant_file(variant)));
    QUOIN_TRY(const Manifest manifest, read_manifest(file));
    QUOIN_CHECK(check_manifest(manifest, host));
    QUOIN_TRY(Library library, load_library(std::move(file), host));
    QUOIN_CHECK(check_table(library.table, host));
    QUOIN_CHECK(compare_with_table(manifest, *library.table));
    {
      QUOIN_TRY(const auto backend, Backend::open(library.table, library.keep, host));
      if (text(elements<quoin_param_spec>(library.table->options).at(0).name) != "level") return "another option";
      if (elements<quoin_kernel>(library.table->kernels).at(0).name != std::string("copy")) return "another kernel";
      const CopyDelegate delegate(backend, kind.sizes);
      if (delegate.status() != QUOIN_OK || !delegate.copies()) return "does not run";
    }
    QUOIN_CHECK(unload_library(std::move(library)));
    return "works";
  };
  const auto lived = live();
  return lived ? *lived : lived.error().what;
}

struct Pair {
  const char* variant;
  HostKind host;
  const char* fate;
};

constexpr const char* kWorks = "works";
class Versions : public ::testing::TestWithParam<Pair> {};
TEST_P(Versions, WorkTogetherOrSayWhyNot) { EXPECT_EQ(fate(GetParam().variant, GetParam().host), GetParam().fate); }

INSTANTIATE_TEST_SUITE_P(
    Matrix, Versions,
    ::testing::Values(Pair{"good", kNow, kWorks}, Pair{"good", kNarrow, kWorks}, Pair{"good", kNewer, kWorks},
                      Pair{"good", kWide, kWorks},
                      Pair{"good", kOtherMajor, "built for plugin ABI 1.0; this host speaks ABI 2"},
                      // A newer plugin that needs nothing new.
                      Pair{"minor_9999", kNow, kWorks}, Pair{"minor_9999", kNarrow, kWorks},
                      Pair{"minor_9999", kNewer, kWorks}, Pair{"minor_9999", kWide, kWorks},
                      Pair{"minor_9999", kOtherMajor, "built for plugin ABI 1.9999; this host speaks ABI 2"},
                      // One that does.
                      Pair{"needs_9999", kNow, "needs plugin ABI 1.9999 or newer; this host speaks 1.0"},
                      Pair{"needs_9999", kNewer, kWorks}, Pair{"needs_9999", kWide, kWorks},
                      Pair{"needs_9999", kOtherMajor, "built for plugin ABI 1.9999; this host speaks ABI 2"},
                      // Every table and every element longer than this host knows.
                      Pair{"wide", kNow, kWorks}, Pair{"wide", kNarrow, kWorks}, Pair{"wide", kNewer, kWorks},
                      Pair{"wide", kWide, kWorks},
                      // Another major, and a table that says otherwise than the manifest.
                      Pair{"other_major", kNow, "built for plugin ABI 2.0; this host speaks ABI 1"},
                      Pair{"other_major", kWide, "built for plugin ABI 2.0; this host speaks ABI 1"},
                      Pair{"table_major", kNow, "built for plugin ABI 7.0; this host speaks ABI 1"},
                      // Shorter than the first release made them.
                      Pair{"table_small", kNow, "the plugin table has 48 bytes; ABI 1.0 defines 128"},
                      Pair{"cut_executor", kNow, "the plugin table offers a role without its function executor.init"},
                      Pair{"cut_executor", kWide, "the plugin table offers a role without its function executor.init"},
                      Pair{"cut_kernels", kNow, "the list of kernels has 1 entries of 72 bytes; ABI 1.0 defines 80"},
                      Pair{"cut_kernels", kNewer, "the list of kernels has 1 entries of 72 bytes; ABI 1.0 defines 80"},
                      Pair{"cut_options", kNow, "the list of options has 1 entries of 8 bytes; ABI 1.0 defines 104"},
                      Pair{"zero_stride", kNow, "the list of kernels has 1 entries of 0 bytes; ABI 1.0 defines 80"},
                      Pair{"kernels_nowhere", kNow,
                           "the list of kernels has 1 entries of 80 bytes at no address; ABI 1.0 defines 80"}),
    [](const auto& pair) { return std::string(pair.param.variant) + "_on_" + pair.param.host.name; });

// Wherever a table ends, it is read no further: the page behind it is not there.
TEST(Versions, TablesOfEveryLengthAreReadWithinTheirBounds) {
  const Services services({1, 0, {}});
  const auto library = load_library(PluginFolder::variant_file("good"), services.table());
  ASSERT_TRUE(library.has_value()) << library.error().text();
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* pages =
      static_cast<std::byte*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(mprotect(pages + page, page, PROT_NONE), 0);
  for (uint32_t size = alignof(quoin_plugin); size <= sizeof(quoin_plugin); size += alignof(quoin_plugin)) {
    auto* cut = reinterpret_cast<quoin_plugin*>(pages + page - size);
    std::memcpy(cut, library->table, size);
    cut->struct_size = size;
    EXPECT_EQ(check_table(cut, services.table()).has_value(), size == sizeof(quoin_plugin)) << size;
  }
  munmap(pages, 2 * page);
}

}  // namespace
}  // namespace quoin::host
