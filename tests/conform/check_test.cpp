#include "conform/conform.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quoin::conform {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A plugin of tests/host/plugins, each of which breaks one promise.
Options check_of(const std::string& variant, std::vector<std::string> groups) {
  Options options;
  options.plugin = std::string(QUOIN_VARIANT_FOLDER) + "/" + variant + ".so";
  options.helper = QUOIN_CONFORM_HELPER;
  options.groups = std::move(groups);
  return options;
}

Report must_check(const Options& options, Diagnostics& diagnostics) {
  auto report = check(options, nullptr, diagnostics);
  if (!report) throw std::runtime_error(report.error().text());
  return *std::move(report);
}
Report must_check(const Options& options) {
  Diagnostics diagnostics;
  return must_check(options, diagnostics);
}

const CaseResult& find(const Report& report, const std::string& name) {
  for (const CaseResult& result : report.cases)
    if (result.group + "/" + result.name == name) return result;
  throw std::runtime_error("no case " + name);
}

TEST(Check, TellsWhatWasChecked) {
  const Report report = must_check(check_of("good", {"manifest", "negotiation", "unload", "process"}));
  EXPECT_EQ(report.name, "good");
  EXPECT_EQ(report.version, "1.2.0");
  EXPECT_EQ(report.vendor, "tests");
  EXPECT_THAT(report.sha256, SizeIs(64));
  EXPECT_THAT(report.groups(), SizeIs(4));
  for (const CaseResult& result : report.cases)
    EXPECT_TRUE(result.outcome == Outcome::pass || result.outcome == Outcome::skip || result.name.starts_with("major-"))
        << result.group << "/" << result.name << ": " << result.detail;
}

TEST(Check, NamesTheCaseThatCrashedAndRunsTheRest) {
  const Report report = must_check(check_of("open_crashes", {"negotiation"}));
  EXPECT_THAT(find(report, "negotiation/first-release").detail, HasSubstr("crashed: signal 11"));
  EXPECT_THAT(find(report, "negotiation/newest-host").detail, HasSubstr("crashed: signal 11"));
  EXPECT_EQ(find(report, "negotiation/static-table").outcome, Outcome::pass);
  EXPECT_EQ(find(report, "negotiation/texts").outcome, Outcome::pass);
  EXPECT_FALSE(report.conforms());
}

TEST(Check, NamesACrashWhileTheBackendIsClosed) {
  const Report report = must_check(check_of("close_crashes", {"process"}));
  EXPECT_EQ(find(report, "process/open").outcome, Outcome::pass);
  EXPECT_THAT(find(report, "process/close").detail, HasSubstr("crashed"));
}

TEST(Check, NamesACrashBeforeTheFirstCase) {
  const Report report = must_check(check_of("load_crashes", {"options", "exports"}));
  EXPECT_THAT(find(report, "options/(start)").detail, HasSubstr("crashed: signal"));
  EXPECT_EQ(find(report, "exports/one-export").outcome, Outcome::pass);  // reads the file only
}

TEST(Check, EndsWhatHangs) {
  Options options = check_of("load_hangs", {"options", "manifest"});
  options.case_timeout = std::chrono::milliseconds(300);
  const Report report = must_check(options);
  EXPECT_THAT(find(report, "options/(start)").detail, HasSubstr("hung: it did not end within 300 ms"));
  EXPECT_THAT(find(report, "manifest/equals-table").detail, HasSubstr("hung"));
  EXPECT_EQ(find(report, "manifest/without-sections").outcome, Outcome::pass);  // behind the one that hung
}

TEST(Check, NamesACaseThatEndedTheProcess) {
  const Report report = must_check(check_of("load_exits", {"manifest"}));
  EXPECT_THAT(find(report, "manifest/equals-table").detail, HasSubstr("ended the process with code 0"));
  EXPECT_EQ(find(report, "manifest/without-sections").outcome, Outcome::pass);
}

TEST(Check, GivesUpAGroupThatTakesTooLong) {
  Options options = check_of("load_hangs", {"negotiation"});
  options.case_timeout = std::chrono::milliseconds(200);
  options.group_timeout = std::chrono::milliseconds(500);
  const Report report = must_check(options);
  EXPECT_THAT(find(report, "negotiation/(rest)").detail, HasSubstr("were not run: the group's time was over"));
}

TEST(Check, ReportsAThrowingPluginWithoutACrash) {
  const Report report = must_check(check_of("open_throws", {"negotiation"}));
  EXPECT_THAT(find(report, "negotiation/this-release").detail, HasSubstr("exception"));
}

TEST(Check, SamePluginProfileAndSeedGiveTheSameCases) {
  const Report a = must_check(check_of("good", {"negotiation"})), b = must_check(check_of("good", {"negotiation"}));
  ASSERT_EQ(a.cases.size(), b.cases.size());
  for (size_t i = 0; i < a.cases.size(); ++i) EXPECT_EQ(a.cases[i].name, b.cases[i].name);
}

TEST(Check, KnowsItsGroups) {
  Diagnostics diagnostics;
  const auto report = check(check_of("good", {"manifets"}), nullptr, diagnostics);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::usage);
  EXPECT_THAT(report.error().text(), HasSubstr("did you mean \"manifest\"?"));
}

TEST(Check, RefusesWhatIsNoPlugin) {
  Diagnostics diagnostics;
  Options options = check_of("good", {});
  options.plugin = "/nowhere/plugin.so";
  EXPECT_EQ(check(options, nullptr, diagnostics).error().code, Code::not_found);
  options.plugin = QUOIN_CONFORM_HELPER;
  EXPECT_EQ(check(options, nullptr, diagnostics).error().code, Code::plugin);
}

TEST(Check, NeedsItsHelper) {
  Diagnostics diagnostics;
  Options options = check_of("good", {"manifest"});
  options.helper = "";
  EXPECT_THAT(check(options, nullptr, diagnostics).error().text(), HasSubstr("quoin-conform"));
  options.helper = "/nowhere/quoin-conform";
  EXPECT_EQ(check(options, nullptr, diagnostics).error().code, Code::io);
}

class Stop : public Progress {
 public:
  void stage(std::string_view, uint64_t) override {}
  bool step(uint64_t) override { return false; }
};

TEST(Check, StopsWhenAsked) {
  Stop stop;
  Diagnostics diagnostics;
  EXPECT_EQ(check(check_of("load_hangs", {"options"}), &stop, diagnostics).error().code, Code::cancelled);
}

// -- tags

Expectations tagged(std::vector<Tag> unsupported, std::vector<Tag> xfail) {
  return {std::move(unsupported), std::move(xfail), 0};
}

TEST(Tags, AnExpectedFailureDoesNotCount) {
  Options options = check_of("open_throws", {"negotiation"});
  options.expectations = tagged({}, {{"negotiation/*-release", "https://example.org/1", "conform.yaml:2:3"}});
  const Report report = must_check(options);
  EXPECT_EQ(find(report, "negotiation/first-release").outcome, Outcome::xfail);
  EXPECT_EQ(find(report, "negotiation/first-release").tag, "https://example.org/1");
  EXPECT_THAT(find(report, "negotiation/first-release").detail, HasSubstr("exception"));
  EXPECT_EQ(find(report, "negotiation/newer-host").outcome, Outcome::fail);
}

TEST(Tags, AnUnexpectedPassFails) {
  Options options = check_of("good", {"manifest"});
  options.expectations = tagged({}, {{"manifest/roles", "https://example.org/1", "conform.yaml:2:3"}});
  const Report report = must_check(options);
  EXPECT_EQ(find(report, "manifest/roles").outcome, Outcome::xpass);
  EXPECT_THAT(find(report, "manifest/roles").detail, HasSubstr("conform.yaml:2:3 expects it to fail"));
  EXPECT_FALSE(report.conforms());
}

TEST(Tags, WhatIsUnsupportedDoesNotCountAndMayPass) {
  Options options = check_of("open_throws", {"negotiation"});
  options.expectations =
      tagged({{"negotiation/static-table", "no", "c:1"}, {"re:negotiation/.*", "no device", "c:2"}}, {});
  Diagnostics diagnostics;
  const Report report = must_check(options, diagnostics);
  EXPECT_EQ(find(report, "negotiation/first-release").outcome, Outcome::unsupported);
  EXPECT_EQ(find(report, "negotiation/static-table").outcome, Outcome::pass);
  EXPECT_TRUE(report.conforms());
  ASSERT_THAT(diagnostics.notes(), SizeIs(1));
  EXPECT_THAT(diagnostics.notes()[0].text(),
              HasSubstr("negotiation/static-table is tagged unsupported, but it passes"));
}

TEST(Tags, APatternThatIsNoneIsAnErrorWithItsPlace) {
  Options options = check_of("good", {"manifest"});
  options.expectations = tagged({{"re:(", "no", "conform.yaml:3:5"}}, {});
  Diagnostics diagnostics;
  const auto report = check(options, nullptr, diagnostics);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::recipe);
  EXPECT_THAT(report.error().text(), HasSubstr("conform.yaml:3:5"));
}

}  // namespace
}  // namespace quoin::conform
