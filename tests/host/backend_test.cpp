#include "host/backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "host/services.hpp"

namespace quoin::host {
namespace {

using ::testing::HasSubstr;

int closed = 0;
quoin_status open_ok(const quoin_host*, quoin_array, quoin_backend** out, quoin_error*) {
  static int state = 0;
  *out = reinterpret_cast<quoin_backend*>(&state);
  return QUOIN_OK;
}
void count_close(quoin_backend*) { ++closed; }

// A linked-in plugin without roles; tests break one field each.
quoin_plugin plugin() {
  quoin_plugin p{};
  p.struct_size = sizeof p;
  p.abi_major = QUOIN_ABI_MAJOR;
  p.name = "linked";
  p.version = "0.1";
  p.open = open_ok;
  p.close = count_close;
  return p;
}

quoin_error error_with(std::string_view message) {
  quoin_error error{};
  error.struct_size = sizeof error;
  error.message_size = static_cast<uint32_t>(std::min(message.size(), sizeof error.message));
  std::memcpy(error.message, message.data(), error.message_size);
  return error;
}

class BackendTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<Backend>> open(const quoin_plugin& p) { return Backend::open(&p, nullptr, services_.table()); }
  void expect_refused(const quoin_plugin& p, Code code, const char* text) {
    const auto backend = open(p);
    ASSERT_FALSE(backend.has_value());
    EXPECT_EQ(backend.error().code, code);
    EXPECT_THAT(backend.error().text(), HasSubstr(text));
  }
  Services services_{{1, 0, {}}};
};

TEST_F(BackendTest, OpensALinkedInTableAndClosesItOnce) {
  closed = 0;
  const quoin_plugin p = plugin();
  {
    const auto backend = open(p);
    ASSERT_TRUE(backend.has_value()) << backend.error().text();
    const auto second_owner = *backend;
    EXPECT_EQ((*backend)->name(), "linked");
    EXPECT_EQ((*backend)->version(), "0.1");
    EXPECT_EQ(closed, 0);
  }
  EXPECT_EQ(closed, 1);
}

TEST_F(BackendTest, LibraryOutlivesClose) {
  static bool library_loaded;
  library_loaded = true;
  static bool loaded_at_close;
  loaded_at_close = false;
  quoin_plugin p = plugin();
  p.close = [](quoin_backend*) { loaded_at_close = library_loaded; };
  const std::shared_ptr<void> library(&library_loaded, [](void* flag) { *static_cast<bool*>(flag) = false; });
  {
    std::shared_ptr<void> handed_over = library;
    ASSERT_TRUE(Backend::open(&p, std::move(handed_over), services_.table()).has_value());
  }
  EXPECT_TRUE(loaded_at_close);
}

TEST_F(BackendTest, RefusesOtherMajors) {
  quoin_plugin p = plugin();
  p.abi_major = QUOIN_ABI_MAJOR + 1;
  expect_refused(p, Code::plugin_abi, "built for plugin ABI 2.0; this host speaks ABI 1");
}

TEST_F(BackendTest, RefusesNewerRequirementsButNotNewerPlugins) {
  quoin_plugin p = plugin();
  p.abi_minor = QUOIN_ABI_MINOR + 5;
  EXPECT_TRUE(open(p).has_value()) << "newer plugin that runs on this host";
  p.abi_minor_required = QUOIN_ABI_MINOR + 5;
  expect_refused(p, Code::plugin_abi, "needs plugin ABI 1.5 or newer; this host speaks 1.0");
}

TEST_F(BackendTest, AcceptsAWiderTable) {
  struct {
    quoin_plugin table;
    void* later_field;
  } wide{plugin(), nullptr};
  wide.table.struct_size = sizeof wide;
  EXPECT_TRUE(open(wide.table).has_value());
}

TEST_F(BackendTest, RefusesEveryTableShorterThanTheFirstRelease) {
  for (uint32_t size = 0; size < sizeof(quoin_plugin); ++size) {
    quoin_plugin p = plugin();
    p.struct_size = size;
    expect_refused(p, Code::plugin, "bytes");
  }
}

TEST_F(BackendTest, RefusesTablesWithoutTheirMandatoryParts) {
  quoin_plugin p = plugin();
  p.open = nullptr;
  expect_refused(p, Code::plugin, "no open or no close");
  p = plugin();
  p.name = nullptr;
  expect_refused(p, Code::plugin, "no name or version");
  p = plugin();
  p.version = "";
  expect_refused(p, Code::plugin, "no name or version");
  quoin_executor empty{};
  empty.struct_size = sizeof empty;
  p = plugin();
  p.executor = &empty;
  expect_refused(p, Code::plugin, "executor.init");
  quoin_quantizer cut{};
  p = plugin();
  p.quantizer = &cut;
  expect_refused(p, Code::plugin, "quantizer.annotate");
  p = plugin();
  p.kernels = {nullptr, 3, sizeof(quoin_kernel)};
  expect_refused(p, Code::plugin, "kernels");
  EXPECT_FALSE(check_table(nullptr, services_.table()).has_value());
}

TEST_F(BackendTest, ReportsThePluginsOwnWords) {
  quoin_plugin p = plugin();
  p.open = [](const quoin_host*, quoin_array, quoin_backend**, quoin_error* e) {
    *e = error_with("no such device: /dev/npu0");
    return quoin_status{QUOIN_UNSUPPORTED};
  };
  expect_refused(p, Code::plugin, "plugin linked: no such device: /dev/npu0 (unsupported)");
}

TEST_F(BackendTest, ExceptionsFromOpenBecomeErrors) {
  quoin_plugin p = plugin();
  p.open = [](const quoin_host*, quoin_array, quoin_backend**, quoin_error*) -> quoin_status {
    throw std::runtime_error("oops");
  };
  expect_refused(p, Code::plugin, "oops");
  p.open = [](const quoin_host*, quoin_array, quoin_backend**, quoin_error*) -> quoin_status { throw 1; };
  expect_refused(p, Code::plugin, "exception");
}

TEST_F(BackendTest, SuccessWithoutABackendIsAnError) {
  quoin_plugin p = plugin();
  p.open = [](const quoin_host*, quoin_array, quoin_backend**, quoin_error*) { return quoin_status{QUOIN_OK}; };
  expect_refused(p, Code::plugin, "without a backend");
}

TEST(PluginError, MapsStatusesToCodes) {
  const quoin_error error = error_with("text");
  EXPECT_EQ(plugin_error("p", QUOIN_OUT_OF_MEMORY, error)->code, Code::limit);
  EXPECT_EQ(plugin_error("p", QUOIN_INCOMPATIBLE, error)->code, Code::plugin_abi);
  EXPECT_EQ(plugin_error("p", QUOIN_CANCELLED, error)->code, Code::cancelled);
  EXPECT_EQ(plugin_error("p", QUOIN_UNSUPPORTED, error)->code, Code::plugin);
  EXPECT_EQ(plugin_error("p", 4711, error)->text(), "plugin p: text (internal error)");
}

TEST(PluginError, EmptyMessageStillSaysSomething) {
  EXPECT_THAT(plugin_error("p", QUOIN_CORRUPT, error_with(""))->text(), HasSubstr("status 6"));
}

TEST(PluginError, HostileTextIsBoundedAndPrintable) {
  quoin_error error = error_with("caf\xc3\xa9 \x1b[2J\xff\n");
  EXPECT_EQ(plugin_error("p", QUOIN_INVALID, error)->what, "caf\xc3\xa9 ?[2J?? (invalid)");
  error = error_with(std::string(240, 'a'));
  error.message_size = UINT32_MAX;
  EXPECT_EQ(plugin_error("p", QUOIN_INVALID, error)->what, std::string(240, 'a') + " (invalid)");
  error = error_with(std::string(239, 'a') + "\xc3");  // cut inside a character
  EXPECT_EQ(plugin_error("p", QUOIN_INVALID, error)->what, std::string(239, 'a') + "? (invalid)");
}

}  // namespace
}  // namespace quoin::host
