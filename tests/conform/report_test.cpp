#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.hpp"
#include "conform/conform.hpp"

namespace quoin::conform {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Report report_with(std::vector<CaseResult> cases) {
  Report report;
  report.plugin = "/tmp/acme one.so";
  report.helper = "/usr/libexec/quoin/quoin-conform";
  report.name = "acme";
  report.version = "1.0";
  report.isa = "avx2";
  report.profile = "quick";
  report.sha256 = std::string(64, 'a');
  report.seed = 7;
  report.cases = std::move(cases);
  return report;
}

CaseResult result(const char* group, const char* name, Outcome outcome, std::string detail = {}, std::string tag = {}) {
  return {group, name, outcome, std::move(detail), std::move(tag), 0.25};
}

TEST(Report, CountsByGroupAndConformsWithoutFailures) {
  const Report report = report_with({result("manifest", "a", Outcome::pass), result("manifest", "b", Outcome::xfail),
                                     result("blob", "c", Outcome::skip), result("blob", "d", Outcome::unsupported)});
  EXPECT_EQ(report.count(Outcome::pass), 1u);
  EXPECT_EQ(report.count(Outcome::pass, "blob"), 0u);
  EXPECT_DOUBLE_EQ(report.time("blob"), 0.5);
  EXPECT_TRUE(report.conforms());
  EXPECT_FALSE(report_with({result("blob", "c", Outcome::fail)}).conforms());
  EXPECT_FALSE(report_with({result("blob", "c", Outcome::xpass)}).conforms());
}

TEST(Report, SaysHowToSeeAFailureAgain) {
  const Report report = report_with({result("blob", "it's cut", Outcome::fail)});
  EXPECT_EQ(again(report, report.cases[0]), "quoin plugin check '/tmp/acme one.so' --group blob --seed 7");
  EXPECT_EQ(debug(report, report.cases[0]),
            "gdb --args /usr/libexec/quoin/quoin-conform '/tmp/acme one.so' blob 'only=it'\\''s cut' seed=7 "
            "profile=quick");
  EXPECT_THAT(debug(report, result("blob", "(start)", Outcome::fail)), Not(HasSubstr("only=")));
}

TEST(Junit, HasASuitePerGroupAndCounts) {
  const std::string xml = junit(report_with({result("manifest", "a", Outcome::pass, "3 steps"),
                                             result("manifest", "b", Outcome::xpass, "passed, but"),
                                             result("blob", "c", Outcome::skip, "no blobs"),
                                             result("blob", "d", Outcome::xfail, "1 off", "https://example.org/1")}));
  EXPECT_THAT(
      xml,
      HasSubstr("<testsuite name=\"manifest\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.500\">"));
  EXPECT_THAT(
      xml, HasSubstr("<testsuite name=\"blob\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"2\" time=\"0.500\">"));
  EXPECT_THAT(xml, AllOf(HasSubstr("<skipped message=\"no blobs\"/>"),
                         HasSubstr("<skipped message=\"xfail: https://example.org/1\"/>"),
                         HasSubstr("--group manifest --seed 7")));
}

TEST(Junit, EscapesWhatXmlDoesNotAllow) {
  const std::string xml = junit(
      report_with({result("blob", "<&>\"", Outcome::fail, std::string("\x01\x1b[31m\xff\xef\xbf\xbf\n\xc3\xa9", 13))}));
  EXPECT_THAT(xml, HasSubstr("name=\"&#60;&#38;&#62;&#34;\""));
  EXPECT_THAT(xml, HasSubstr("message=\"??[31m??&#10;\xc3\xa9\""));
  EXPECT_TRUE(valid_utf8(xml));
}

TEST(Markdown, IsAPageThatCanBePublished) {
  const std::string page = markdown(report_with(
      {result("manifest", "a", Outcome::pass), result("accuracy", "int8/relu/1x3", Outcome::pass),
       result("accuracy", "float/relu/2", Outcome::fail, "a|b\n*c*"), result("accuracy", "float/relu/3", Outcome::pass),
       result("accuracy", "int8/gelu", Outcome::skip, "no"),
       result("blob", "x", Outcome::unsupported, "off", "the device has none")}));
  EXPECT_THAT(page, HasSubstr("# Conformance of acme 1.0\n\n**Does not conform.**"));
  EXPECT_THAT(page, HasSubstr("| SHA-256 | `" + std::string(64, 'a') + "` |"));
  EXPECT_THAT(page, HasSubstr("profile quick, seed 7"));
  EXPECT_THAT(page, HasSubstr("| operator | int8 | float |\n| --- | --- | --- |\n| gelu | – | – |\n"
                              "| relu | 1 passed | **1 failed**, 1 passed |"));
  EXPECT_THAT(page, HasSubstr("| accuracy/float/relu/2 | fail | a\\|b \\*c\\* |"));
  EXPECT_THAT(page, HasSubstr("| blob/x | unsupported | the device has none |"));
}

TEST(Utf8, KnowsItsEnds) {
  for (const char* good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"})
    EXPECT_FALSE(valid_utf8(bad)) << bad;
}

}  // namespace
}  // namespace quoin::conform
