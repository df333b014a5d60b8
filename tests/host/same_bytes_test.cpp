// What runs is what was checked: paths that change meanwhile, lists of digests, sealed copies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "host/digest.hpp"
#include "host/probe.hpp"
#include "host/registry.hpp"
#include "life.hpp"
#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

namespace fs = std::filesystem;
using testing::CopyDelegate;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::is_mapped;
using ::testing::IsEmpty;
using testing::PluginFolder;

std::string digest_of(const std::string& path) {
  return PluginFile::open(path).and_then([](const PluginFile& file) { return sha256(file); }).value();
}

class SameBytesTest : public ::testing::Test {
 protected:
  // Puts another file where `path` is, as a package manager does: the old one stays what it was for who has it open.
  void replace(const std::string& path, const std::string& variant) {
    const PluginFolder other;
    fs::rename(other.add(variant), path);
  }
  // Writes other bytes into the file itself.
  void overwrite(const std::string& path, const std::string& bytes) {
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << bytes;
    fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  }
  std::string loaded_name(PluginFile file) {
    const auto library = load_library(std::move(file), services_.table());
    return library ? library->table->name : library.error().text();
  }
  Registry listed(Digests digests, std::optional<ProbeOptions> probe = std::nullopt) {
    return Registry::discover({{folder_.path()}, false, false, probe, std::move(digests)}, services_);
  }
  Services services_{{1, 0, {}}};
  PluginFolder folder_;
};

TEST_F(SameBytesTest, AFileThatIsReplacedAfterItsChecksIsNotLoaded) {
  const std::string path = folder_.add("good");
  PluginFile file = PluginFile::open(path).value();
  replace(path, "load_exits");
  EXPECT_EQ(loaded_name(std::move(file)), "good");
}

TEST_F(SameBytesTest, AFileThatIsChangedAfterItsChecksIsRefused) {
  const std::string path = folder_.add("good");
  PluginFile file = PluginFile::open(path).value();
  overwrite(path, "x");
  EXPECT_THAT(loaded_name(std::move(file)), HasSubstr("replaced or changed since it was checked"));
}

TEST_F(SameBytesTest, ANewFileUnderAnOldNameIsNotTheOldLibrary) {
  const std::string path = folder_.add("good", "plugin.so");
  const auto old = load_library(path, services_.table());
  ASSERT_TRUE(old.has_value());
  replace(path, "wide");
  const auto fresh = load_library(path, services_.table());
  ASSERT_TRUE(fresh.has_value());
  EXPECT_STREQ(old->table->name, "good");
  EXPECT_STREQ(fresh->table->name, "wide");
}

TEST_F(SameBytesTest, DescriptorNumbersThatComeBackDoNotMeanTheOldLibrary) {
  folder_.add("nodelete");
  folder_.add("good");
  Registry registry = Registry::discover({{folder_.path()}, false, false, std::nullopt}, services_);
  registry.open("nodelete").value().reset();
  ASSERT_FALSE(registry.unload("nodelete").has_value()) << "stays known under the name it was loaded by";
  EXPECT_EQ(registry.open("good").value()->name(), "good");
}

TEST_F(SameBytesTest, PrivateLibrariesBesideThePluginAreFound) {
  const std::string path = folder_.add("origin");
  folder_.add("libquoin_test_beside");
  EXPECT_TRUE(PluginFile::open(path)->uses_own_folder().value());
  EXPECT_FALSE(PluginFile::open(folder_.add("good"))->uses_own_folder().value());
  EXPECT_EQ(loaded_name(PluginFile::open(path).value()), "origin");
  PluginFile file = PluginFile::open(path).value();
  replace(path, "good");
  EXPECT_THAT(loaded_name(std::move(file)), HasSubstr("replaced or changed since it was checked"));
}

TEST_F(SameBytesTest, DigestIsSha256) {
  EXPECT_EQ(digest_of(folder_.write("abc", "abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of(folder_.write("empty", "")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of(folder_.write("million", std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(SameBytesTest, OnlyListedFilesAreUsedAndTheOthersTellTheirDigest) {
  const std::string good = folder_.add("good"), wide = folder_.add("wide");
  Registry registry = listed({digest_of(good)});
  EXPECT_THAT(registry.names(), ElementsAre("good"));
  EXPECT_EQ(registry.candidates()[1].ignored, "it is not listed; its SHA-256 is " + digest_of(wide) +
                                                  "; if you trust it, add the digest to plugins.sha256");
  const auto refused = registry.open("wide");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr(digest_of(wide)));
  EXPECT_THAT(listed({}).names(), IsEmpty());
}

TEST_F(SameBytesTest, AnUnlistedFileDoesNotShadowAListedOne) {
  folder_.write("a.so", PluginFolder::variant_bytes("good") + "\n");
  const std::string second = folder_.add("good", "b.so");
  Registry registry = listed({digest_of(second)});
  EXPECT_THAT(registry.names(), ElementsAre("good"));
  EXPECT_THAT(registry.candidates()[0].ignored, HasSubstr("not listed"));
}

TEST_F(SameBytesTest, AListedPluginRunsFromASealedCopy) {
  const std::string path = folder_.add("good");
  Registry registry = listed({digest_of(path)});
  const auto backend = registry.open("good");
  ASSERT_TRUE(backend.has_value()) << backend.error().text();
  EXPECT_TRUE(is_mapped("/memfd:good.so"));
  EXPECT_FALSE(is_mapped(path));
  overwrite(path, std::string(200'000, 'x'));  // would reach a mapping of the file itself
  EXPECT_TRUE(CopyDelegate(*backend).copies());
}

TEST_F(SameBytesTest, SealedCopiesAreUnloadedToo) {
  Registry registry = listed({digest_of(folder_.add("good"))});
  registry.open("good").value().reset();
  const Status gone = registry.unload("good");
  EXPECT_TRUE(gone.has_value()) << gone.error().text();
  EXPECT_FALSE(is_mapped("/memfd:good.so"));
}

TEST_F(SameBytesTest, AListedFileThatChangesBeforeItIsOpenedIsRefused) {
  const std::string path = folder_.add("good");
  Registry registry = listed({digest_of(path)});
  replace(path, "wide");
  const auto refused = registry.open("good");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr("it is not listed; its SHA-256 is " + digest_of(path)));
}

TEST_F(SameBytesTest, ASealedCopyCannotBeWritten) {
  const PluginFile copy = PluginFile::open(folder_.add("good"))->sealed().value();
  EXPECT_EQ(pwrite(copy.descriptor(), "x", 1, 0), -1);
  EXPECT_EQ(ftruncate(copy.descriptor(), 0), -1);
  EXPECT_EQ(ftruncate(copy.descriptor(), static_cast<off_t>(copy.size()) + 1), -1);
}

TEST_F(SameBytesTest, TheTrialProcessGetsTheSealedBytes) {
  const PluginFolder cache;
  const std::string path = folder_.add("good");
  Registry registry = listed({digest_of(path)}, ProbeOptions{default_probe().helper, cache.path()});
  const auto backend = registry.open("good");
  EXPECT_TRUE(backend.has_value()) << backend.error().text();
}

TEST_F(SameBytesTest, LibrariesInThePluginsFolderAreNotCoveredByAList) {
  const std::string path = folder_.add("origin");
  folder_.add("libquoin_test_beside");
  EXPECT_THAT(listed({digest_of(path)}).candidates().back().ignored, HasSubstr("its own folder ($ORIGIN)"));
}

}  // namespace
}  // namespace quoin::host
