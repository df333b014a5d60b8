// Unloading, exits without it, and what keeps a library in memory. Runs in an ordinary build and under ASan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "host/registry.hpp"
#include "life.hpp"
#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using testing::CopyDelegate;
using ::testing::HasSubstr;
using testing::is_mapped;
using testing::PluginFolder;

size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

class UnloadTest : public ::testing::Test {
 protected:
  Registry discover() { return Registry::discover({{folder_.path()}, false, false, std::nullopt}, services_); }
  Registry with(const std::string& variant) {
    folder_.add(variant);
    return discover();
  }
  Services services_{{1, 0, {}}};
  PluginFolder folder_;
};

TEST_F(UnloadTest, AHundredLivesLeaveNothing) {
  Registry registry = with("good");
  const size_t descriptors = open_descriptors();
  for (int life = 0; life < 100; ++life) {
    {
      const auto backend = registry.open("good");
      ASSERT_TRUE(backend.has_value()) << backend.error().text();
      const CopyDelegate delegate(*backend);
      ASSERT_TRUE(delegate.copies());
      ASSERT_TRUE(is_mapped("/good.so"));
    }
    const Status gone = registry.unload("good");
    ASSERT_TRUE(gone.has_value()) << gone.error().text();
    ASSERT_FALSE(is_mapped("/good.so")) << "life " << life;
  }
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_F(UnloadTest, StaysResidentWithoutIt) {
  Registry registry = with("good");
  registry.open("good").value().reset();
  EXPECT_TRUE(is_mapped("/good.so"));
  { const Registry ends = std::move(registry); }
  EXPECT_FALSE(is_mapped("/good.so"));
}

TEST_F(UnloadTest, IsRefusedWhileSomethingLivesAndSaysWhat) {
  Registry registry = with("good");
  auto backend = registry.open("good").value();
  std::optional<CopyDelegate> first(backend), second(backend);
  std::optional<Use> kernels(std::in_place, backend, Use::kernels);
  Status refused = registry.unload("good");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::plugin);
  EXPECT_EQ(refused.error().what, "plugin \"good\" is in use by 4 object(s), among them 2 delegates, 1 set of kernels");
  EXPECT_TRUE(first->copies()) << "it stays open";
  first.reset();
  kernels.reset();
  backend.reset();
  EXPECT_THAT(registry.unload("good").error().what, HasSubstr("in use by 1 object(s), among them 1 delegate"));
  second.reset();
  EXPECT_TRUE(registry.unload("good").has_value());
  EXPECT_THAT(registry.unload("good").error().what, HasSubstr("not open"));
}

TEST_F(UnloadTest, ASecondLoadOfTheFileKeepsIt) {
  Registry registry = with("good"), other = discover();
  const auto held = other.open("good").value();
  registry.open("good").value().reset();
  const Status stays = registry.unload("good");
  ASSERT_FALSE(stays.has_value());
  EXPECT_THAT(stays.error().text(),
              HasSubstr("stays in memory after it was closed: something else still refers to it"));
  const CopyDelegate delegate(held);
  EXPECT_TRUE(delegate.copies());
}

struct Pinned {
  const char* variant;
  const char* reason;
};
class PinnedLibrary : public UnloadTest, public ::testing::WithParamInterface<Pinned> {};

TEST_P(PinnedLibrary, StaysAndIsReportedWithTheReason) {
  Registry registry = with(GetParam().variant);
  registry.open(GetParam().variant).value().reset();
  const Status stays = registry.unload(GetParam().variant);
  ASSERT_FALSE(stays.has_value());
  EXPECT_EQ(stays.error().code, Code::plugin);
  EXPECT_THAT(stays.error().text(), HasSubstr(GetParam().variant));
  EXPECT_THAT(stays.error().text(), HasSubstr(GetParam().reason));
  EXPECT_TRUE(is_mapped(std::string("/") + GetParam().variant + ".so"));
  const auto again = registry.open(GetParam().variant);
  ASSERT_TRUE(again.has_value()) << again.error().text();
  EXPECT_TRUE(CopyDelegate(*again).copies());
}
INSTANTIATE_TEST_SUITE_P(Variants, PinnedLibrary,
                         ::testing::Values(Pinned{"unique_symbol", "its symbol quoin_test_unique is unique"},
                                           Pinned{"nodelete", "it was linked with -z nodelete"}),
                         [](const auto& pinned) { return std::string(pinned.param.variant); });

TEST_F(UnloadTest, APluginThatThrowsWhenItIsClosedIsNamed) {
  std::string log;
  const Services services({1, 0, [&](int, std::string_view text) { log += text; }});
  folder_.add("close_throws");
  Registry registry = Registry::discover({{folder_.path()}, false, false, std::nullopt}, services);
  registry.open("close_throws").value().reset();
  EXPECT_TRUE(registry.unload("close_throws").has_value());
  EXPECT_EQ(log, "plugin close_throws: let an exception escape while it cleaned up: thrown on purpose");
}

// A process that ends with plugins in every state. Statics die in the reverse order of their birth, so the plugin's own
// go before those of the host that were there first.
struct Process {
  explicit Process(const std::string& folder)
      : services({1, 0, {}}), registry(Registry::discover({{folder}, false, false, std::nullopt}, services)) {}
  Services services;
  Registry registry;
  std::optional<CopyDelegate> delegate;
};

[[noreturn]] void end_with_live_delegate(const std::string& folder) {
  static Process process(folder);
  process.delegate.emplace(process.registry.open("good").value());
  std::exit(process.delegate->copies() ? 0 : 1);
}
[[noreturn]] void end_with_delegate_that_outlives_the_registry(const std::string& folder) {
  static const Services services({1, 0, {}});
  static std::optional<CopyDelegate> delegate;
  Registry registry = Registry::discover({{folder}, false, false, std::nullopt}, services);
  delegate.emplace(registry.open("good").value());
  { const Registry ends = std::move(registry); }
  std::exit(delegate->copies() ? 0 : 1);
}
[[noreturn]] void end_with_open_plugin(const std::string& folder) {
  static Process process(folder);
  std::exit(process.registry.open("good") ? 0 : 1);
}
[[noreturn]] void end_with_leaked_backend(const std::string& folder) {
  static Process process(folder);
  static const auto* leaked = new std::shared_ptr<Backend>(process.registry.open("good").value());
  std::exit(*leaked != nullptr ? 0 : 1);
}

TEST_F(UnloadTest, ProcessesEndCleanlyWithoutIt) {
  folder_.add("good");
  const auto fine = ::testing::ExitedWithCode(0);
  EXPECT_EXIT(end_with_open_plugin(folder_.path()), fine, "");
  EXPECT_EXIT(end_with_live_delegate(folder_.path()), fine, "");
  EXPECT_EXIT(end_with_delegate_that_outlives_the_registry(folder_.path()), fine, "");
  EXPECT_EXIT(end_with_leaked_backend(folder_.path()), fine, "");
}

}  // namespace
}  // namespace quoin::host
