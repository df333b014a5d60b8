// The groups about graphs, blobs and results on plugins that are sound: no failure, and few skips. What they find in
// plugins that are not is in faulty_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "conform/group.hpp"

namespace quoin::conform {
namespace {

struct Outcome {
  size_t passed = 0;
  std::string failures;
  std::vector<std::string> skipped;
};

Outcome run(const std::string& plugin, const std::string& group, uint64_t seed = 1) {
  const auto found = std::ranges::find(groups(), group, [](const Group& g) { return std::string(g.name); });
  Subject subject(plugin, Profile::quick, seed);
  Outcome out;
  for (const Case& test : found->cases(subject)) {
    const Verdict verdict = test.run();
    if (verdict.kind == Verdict::pass) ++out.passed;
    if (verdict.kind == Verdict::fail) out.failures += test.name + ": " + verdict.detail + "\n";
    if (verdict.kind == Verdict::skip) out.skipped.push_back(test.name + ": " + verdict.detail);
    EXPECT_TRUE(verdict.kind == Verdict::pass || !verdict.detail.empty()) << test.name << " says nothing";
  }
  return out;
}

struct Expected {
  const char* group;
  size_t passed;  // at least
};
void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.group; }

class Cpu : public ::testing::TestWithParam<Expected> {};

TEST_P(Cpu, PassesTheGroup) {
  const Outcome outcome = run(QUOIN_CPU_PLUGIN, GetParam().group);
  EXPECT_EQ(outcome.failures, "");
  EXPECT_GE(outcome.passed, GetParam().passed);
}

constexpr Expected kGroups[] = {{"annotate", 16}, {"partition", 16}, {"compile", 4}, {"blob", 12}, {"accuracy", 200},
                                {"workspace", 4}, {"memory", 1},     {"threads", 3}, {"events", 4}};
INSTANTIATE_TEST_SUITE_P(Groups, Cpu, ::testing::ValuesIn(kGroups),
                         [](const auto& instance) { return std::string(instance.param.group); });

TEST(Xnnpack, AnswersAsAQuantizer) {
  const Outcome outcome = run(QUOIN_XNNPACK_PLUGIN, "annotate");
  EXPECT_EQ(outcome.failures, "");
  EXPECT_GE(outcome.passed, 20u);
}

TEST(Xnnpack, IsSkippedWhereItHasNoRole) {
  for (const char* group : {"partition", "compile", "blob", "workspace", "memory", "threads", "events"}) {
    const Outcome outcome = run(QUOIN_XNNPACK_PLUGIN, group);
    EXPECT_EQ(outcome.passed, 0u) << group;
    EXPECT_EQ(outcome.failures, "") << group;
    EXPECT_EQ(outcome.skipped.size(), 1u) << group;
  }
}

TEST(Cases, AreTheSameForTheSameSeed) {
  for (const Group& group : groups()) {
    const Subject first(QUOIN_CPU_PLUGIN, Profile::quick, 3), second(QUOIN_CPU_PLUGIN, Profile::quick, 3);
    const auto a = group.cases(first), b = group.cases(second);
    ASSERT_EQ(a.size(), b.size()) << group.name;
    std::set<std::string> names;
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].name, b[i].name);
      EXPECT_TRUE(names.insert(a[i].name).second) << group.name << "/" << a[i].name << " is there twice";
    }
  }
}

}  // namespace
}  // namespace quoin::conform
