#include "host/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/registry.hpp"
#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using ::testing::HasSubstr;
using testing::PluginFolder;

class ProbeTest : public ::testing::Test {
 protected:
  ProbeOptions options(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    return {default_probe().helper, cache_.path(), timeout};
  }
  Status try_one(const std::string& path, const ProbeOptions& options) {
    QUOIN_TRY(const PluginFile file, PluginFile::open(path));
    return probe(file, services_.table(), options);
  }
  std::string refusal(const std::string& variant, std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    const Status status = try_one(folder_.add(variant), options(timeout));
    return status ? "accepted" : status.error().text();
  }
  size_t remembered() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(cache_.path())) ++count;
    return count;
  }
  Services services_{{1, 0, {}}};
  PluginFolder folder_, cache_;
};

TEST_F(ProbeTest, FindsItsHelperInTheBuildTree) { EXPECT_THAT(default_probe().helper, HasSubstr("quoin-probe")); }

TEST_F(ProbeTest, AcceptsAGoodPluginAndRemembersIt) {
  const std::string path = folder_.add("good");
  ASSERT_TRUE(try_one(path, options()).has_value());
  EXPECT_EQ(remembered(), 1u);
  // Not started again: a helper that does not exist is not missed.
  ProbeOptions without_helper = options();
  without_helper.helper = "/nonexistent";
  EXPECT_TRUE(try_one(path, without_helper).has_value());
}

TEST_F(ProbeTest, RemembersContentNotNames) {
  ASSERT_TRUE(try_one(folder_.add("good"), options()).has_value());
  const std::string path = folder_.path() + "/good.so";
  std::filesystem::copy_file(PluginFolder::variant_file("load_crashes"), path,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(try_one(path, options()).has_value());
  EXPECT_EQ(remembered(), 1u);
}

TEST_F(ProbeTest, SurvivesCrashes) {
  EXPECT_THAT(refusal("load_crashes"), HasSubstr("crashed while it was loaded in a trial process: signal"));
  EXPECT_THAT(refusal("open_crashes"), HasSubstr("signal 11"));
  EXPECT_THAT(refusal("close_crashes"), HasSubstr("crashed"));
  EXPECT_EQ(remembered(), 0u);
}

TEST_F(ProbeTest, EndsAHang) {
  EXPECT_THAT(refusal("load_hangs", std::chrono::milliseconds(200)), HasSubstr("did not load within 200 ms"));
}

TEST_F(ProbeTest, NoticesAPluginThatEndsTheProcess) {
  EXPECT_THAT(refusal("load_exits"), HasSubstr("ended the trial process it was loaded in, with code 0"));
}

TEST_F(ProbeTest, PassesOnWhatThePluginSays) {
  EXPECT_THAT(refusal("open_fails"), HasSubstr("the device of this plugin is switched off"));
  EXPECT_THAT(refusal("missing_library"), HasSubstr("libquoin_test_gone.so"));
  EXPECT_THAT(refusal("table_version"), HasSubstr("manifest and table differ"));
}

TEST_F(ProbeTest, SaysWhenTheHelperCannotBeStarted) {
  ProbeOptions broken = options();
  broken.helper = "/nonexistent/quoin-probe";
  const Status status = try_one(folder_.add("good"), broken);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::io);
  EXPECT_THAT(status.error().text(), HasSubstr("/nonexistent/quoin-probe cannot be started"));
}

TEST_F(ProbeTest, TheRegistryNamesThePluginThatCrashed) {
  folder_.add("load_crashes");
  Registry registry = Registry::discover({{folder_.path()}, false, false, options()}, services_);
  const auto opened = registry.open("load_crashes");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::plugin);
  EXPECT_THAT(opened.error().text(), HasSubstr("load_crashes.so"));
}

TEST_F(ProbeTest, ListsWhatDidNotPassWithItsReason) {
  folder_.add("good");
  folder_.add("load_crashes");
  Registry registry = Registry::discover({{folder_.path()}, false, false, options()}, services_);
  registry.try_out();
  EXPECT_THAT(registry.names(), ::testing::ElementsAre("good"));
  EXPECT_THAT(registry.candidates().back().ignored, HasSubstr("crashed while it was loaded"));
}

}  // namespace
}  // namespace quoin::host
