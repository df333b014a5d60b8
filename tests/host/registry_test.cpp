#include "host/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "plugin_folder.hpp"

namespace quoin::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PluginFolder;
using testing::ScopedVariable;

class RegistryTest : public ::testing::Test {
 protected:
  // Searches only the given folders unless a test says otherwise.
  Registry discover(std::vector<std::string> folders, bool environment = false) {
    return Registry::discover({std::move(folders), environment, false, probe_}, services_);
  }
  const Candidate& only(const Registry& registry) {
    EXPECT_EQ(registry.candidates().size(), 1u);
    return registry.candidates().front();
  }
  std::optional<ProbeOptions> probe_;  // probe_test.cpp has the trial process
  Services services_{{1, 0, {}}};
  PluginFolder folder_;
};

TEST_F(RegistryTest, OpensAGoodPluginOnce) {
  folder_.add("good");
  Registry registry = discover({folder_.path()});
  EXPECT_THAT(registry.names(), ElementsAre("good"));
  const auto backend = registry.open("good");
  ASSERT_TRUE(backend.has_value()) << backend.error().text();
  EXPECT_EQ((*backend)->name(), "good");
  EXPECT_EQ((*backend)->version(), "1.2.0");
  EXPECT_EQ(registry.open("good").value(), *backend);
}

TEST_F(RegistryTest, ParametersAreAskedForWithTheTableAndReachOpen) {
  folder_.add("good");
  const int64_t seven = 7;
  const quoin_param level{{"level", 5}, QUOIN_PARAM_INT, 1, &seven};
  std::string log, asked;
  const Services services({1, 0, [&](int, std::string_view text) { log += text; }});
  SearchOptions options{{folder_.path()}, false, false, probe_};
  options.params = [&](const quoin_plugin& table) -> Result<quoin_array> {
    asked = table.name;
    return quoin_array{&level, 1, sizeof level};
  };
  ASSERT_TRUE(Registry::discover(options, services).open("good").has_value());
  EXPECT_EQ(asked, "good");
  EXPECT_EQ(log, "level 7");
  options.params = [](const quoin_plugin&) -> Result<quoin_array> { return fail(Code::recipe, "no such option"); };
  EXPECT_EQ(Registry::discover(options, services).open("good").error().text(), "no such option");
}

TEST_F(RegistryTest, BackendOutlivesTheRegistry) {
  folder_.add("good");
  std::shared_ptr<Backend> backend;
  {
    Registry registry = discover({folder_.path()});
    backend = registry.open("good").value();
  }
  EXPECT_EQ(backend->table().executor->newest_blob_format, 1u);
}

TEST_F(RegistryTest, OpensFromSeveralThreads) {
  folder_.add("good");
  Registry registry = discover({folder_.path()});
  std::shared_ptr<Backend> opened[4];
  std::vector<std::thread> threads;
  for (auto& backend : opened) threads.emplace_back([&] { backend = registry.open("good").value(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& backend : opened) EXPECT_EQ(backend, opened[0]);
}

TEST_F(RegistryTest, FindsPluginsInDirectSubfoldersOnly) {
  folder_.add("good", "vendor/good.so");
  folder_.add("open_fails", "vendor/deep/open_fails.so");
  EXPECT_THAT(discover({folder_.path()}).names(), ElementsAre("good"));
}

TEST_F(RegistryTest, AFolderEntryMayBeAFile) {
  const std::string file = folder_.add("good");
  folder_.add("open_fails");
  EXPECT_THAT(discover({file}).names(), ElementsAre("good"));
}

TEST_F(RegistryTest, MissingFolderThatSomebodyNamedKeepsItsReason) {
  const Registry registry = discover({"/nonexistent/plugins"});
  EXPECT_EQ(only(registry).code, Code::not_found);
  EXPECT_EQ(only(registry).path, "/nonexistent/plugins");
  EXPECT_THAT(only(registry).ignored, HasSubstr("No such file"));
}

TEST_F(RegistryTest, FirstOfANameWinsAndTheSecondSaysWhy) {
  const std::string first = folder_.add("good", "a.so");
  folder_.add("good", "b.so");
  const Registry registry = discover({folder_.path()});
  ASSERT_EQ(registry.candidates().size(), 2u);
  EXPECT_THAT(registry.candidates()[0].ignored, IsEmpty());
  EXPECT_EQ(registry.candidates()[1].ignored, "shadowed by 1.2.0 of the same name in " + first);
}

TEST_F(RegistryTest, OneFileReachedTwiceIsOneCandidate) {
  const std::string file = folder_.add("good");
  std::filesystem::create_symlink(file, folder_.path() + "/link.so");
  EXPECT_EQ(discover({folder_.path(), folder_.path() + "/."}).candidates().size(), 1u);
}

TEST_F(RegistryTest, EnvironmentIsSearchedAfterNamedFolders) {
  const PluginFolder named;
  const std::string first = named.add("good");
  folder_.add("good");
  const ScopedVariable path("QUOIN_PLUGIN_PATH", "::" + folder_.path() + ":relative");
  const Registry registry = discover({named.path()}, true);
  ASSERT_EQ(registry.candidates().size(), 3u);
  EXPECT_EQ(registry.candidates()[0].path, first);
  EXPECT_EQ(registry.candidates()[0].source, "--plugin");
  EXPECT_EQ(registry.candidates()[1].source, "QUOIN_PLUGIN_PATH");
  EXPECT_THAT(registry.candidates()[1].ignored, HasSubstr("shadowed"));
  EXPECT_THAT(registry.candidates()[2].ignored, HasSubstr("absolute"));
  EXPECT_THAT(discover({}, false).candidates(), IsEmpty());
}

TEST_F(RegistryTest, UnknownNameSuggestsTheNearest) {
  folder_.add("good");
  Registry registry = discover({folder_.path()});
  const auto backend = registry.open("god");
  ASSERT_FALSE(backend.has_value());
  EXPECT_EQ(backend.error().code, Code::plugin);
  EXPECT_THAT(backend.error().text(), HasSubstr("plugin \"god\" was not found among good; did you mean \"good\"?"));
}

TEST_F(RegistryTest, NoPluginAtAllNamesTheFoldersOrTheBrokenFile) {
  Registry empty = discover({folder_.path()});
  EXPECT_THAT(empty.open("cpu").error().text(), HasSubstr("searched " + folder_.path()));
  const std::string file = folder_.write("libquoin_cpu.so", "garbage");
  Registry broken = discover({folder_.path()});
  EXPECT_THAT(broken.open("cpu").error().text(), HasSubstr(file + " was ignored: not a shared library"));
}

TEST_F(RegistryTest, IgnoredPluginIsRefusedWithItsReasonAndFile) {
  const std::string file = folder_.add("other_major");
  Registry registry = discover({folder_.path()});
  EXPECT_EQ(only(registry).code, Code::plugin_abi);
  const auto backend = registry.open("other_major");
  ASSERT_FALSE(backend.has_value());
  EXPECT_EQ(backend.error().code, Code::plugin_abi);
  EXPECT_EQ(backend.error().where, file);
  EXPECT_THAT(backend.error().text(), HasSubstr("built for plugin ABI 2.0; this host speaks ABI 1"));
}

TEST_F(RegistryTest, InstructionSetsAreCheckedAgainstTheHosts) {
  folder_.add("needs_isa");
  EXPECT_THAT(only(discover({folder_.path()})).ignored, HasSubstr("needs the instruction set amx"));
  const Services able({1, ~uint64_t{0}, {}});
  EXPECT_THAT(Registry::discover({{folder_.path()}, false, false}, able).names(), ElementsAre("needs_isa"));
}

struct Fault {
  const char* variant;
  Code code;
  const char* message;
};

// Where a fault shows: before any code of the plugin ran, or when it is opened.
class EarlyFault : public RegistryTest, public ::testing::WithParamInterface<Fault> {};
class LateFault : public RegistryTest, public ::testing::WithParamInterface<Fault> {};
std::string fault_name(const ::testing::TestParamInfo<Fault>& info) { return info.param.variant; }

TEST_P(EarlyFault, IsSeenWithoutLoading) {
  folder_.add(GetParam().variant);
  const Registry registry = discover({folder_.path()});
  EXPECT_THAT(only(registry).ignored, HasSubstr(GetParam().message));
  EXPECT_EQ(only(registry).code, GetParam().code);
  EXPECT_THAT(registry.names(), IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(Variants, EarlyFault,
                         ::testing::Values(Fault{"other_major", Code::plugin_abi, "built for plugin ABI 2.0"},
                                           Fault{"newer_minor", Code::plugin_abi, "needs plugin ABI 1.99 or newer"},
                                           Fault{"unknown_isa", Code::plugin,
                                                 "\"sve9\", which this host does not know"},
                                           Fault{"needs_isa", Code::plugin, "needs the instruction set amx"},
                                           Fault{"bad_name", Code::plugin, "its manifest names it \"../Evil\""},
                                           Fault{"not_json", Code::plugin, "not a JSON object"},
                                           Fault{"no_fields", Code::plugin, "no usable \"name\""}),
                         fault_name);

TEST_P(LateFault, IsAnErrorThatNamesTheFile) {
  const std::string file = folder_.add(GetParam().variant);
  Registry registry = discover({folder_.path()});
  ASSERT_THAT(registry.names(), ElementsAre(GetParam().variant)) << only(registry).ignored;
  const auto backend = registry.open(GetParam().variant);
  ASSERT_FALSE(backend.has_value());
  EXPECT_EQ(backend.error().code, GetParam().code);
  EXPECT_THAT(backend.error().text(), HasSubstr(GetParam().message));
  EXPECT_THAT(backend.error().text(), HasSubstr(file));
}
INSTANTIATE_TEST_SUITE_P(
    Variants, LateFault,
    ::testing::Values(Fault{"no_entry", Code::plugin, "does not export the entry function quoin_plugin_entry_v1"},
                      Fault{"entry_refuses", Code::plugin_abi, "this host is too old for me"},
                      Fault{"entry_silent", Code::plugin, "no plugin table and no reason"},
                      Fault{"entry_throws", Code::plugin, "let an exception escape"},
                      Fault{"table_small", Code::plugin, "has 48 bytes"},
                      Fault{"cut_kernels", Code::plugin, "the list of kernels has 1 entries of 72 bytes"},
                      Fault{"table_version", Code::plugin,
                            "the version is 1.2.0 in the manifest and 9.9.9 in the table"},
                      Fault{"table_major", Code::plugin_abi, "built for plugin ABI 7.0"},
                      Fault{"table_no_open", Code::plugin, "no open or no close"},
                      Fault{"role_no_run", Code::plugin, "executor.run"},
                      Fault{"open_fails", Code::plugin, "the device of this plugin is switched off (unsupported)"},
                      Fault{"open_throws", Code::plugin, "thrown on purpose"},
                      Fault{"open_status", Code::plugin, "plugin open_status: a status of its own (internal error)"},
                      Fault{"open_nothing", Code::plugin, "without a backend"},
                      Fault{"undefined_symbol", Code::plugin, "undefined symbol: quoin_test_function_from_elsewhere"},
                      Fault{"missing_library", Code::plugin, "libquoin_test_gone.so"}),
    fault_name);

}  // namespace
}  // namespace quoin::host
