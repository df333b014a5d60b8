#include <algorithm>

#include "base/text.hpp"
#include "conform/conform.hpp"

namespace quoin::conform {
std::string_view outcome_name(Outcome outcome) {
  constexpr std::string_view kNames[] = {"pass", "fail", "skip", "unsupported", "xfail", "xpass"};
  return kNames[static_cast<size_t>(outcome)];
}

size_t Report::count(Outcome outcome, std::string_view group) const {
  return static_cast<size_t>(std::ranges::count_if(
      cases, [&](const CaseResult& c) { return c.outcome == outcome && (group.empty() || c.group == group); }));
}

double Report::time(std::string_view group) const {
  double sum = 0;
  for (const CaseResult& result : cases)
    if (result.group == group) sum += result.seconds;
  return sum;
}

std::vector<const Group*> Report::groups() const {
  std::vector<const Group*> out;
  for (const Group& group : conform::groups())
    if (std::ranges::find(cases, group.name, &CaseResult::group) != cases.end()) out.push_back(&group);
  return out;
}

bool Report::conforms() const { return count(Outcome::fail) + count(Outcome::xpass) == 0; }

std::string again(const Report& report, const CaseResult& result) {
  return fmt::format("quoin plugin check {} --group {} --seed {}{}", shell_word(report.plugin), result.group,
                     report.seed, report.profile == "full" ? " --profile full" : "");
}

std::string debug(const Report& report, const CaseResult& result) {
  const bool whole = result.name.starts_with('(');  // no case of its own: what happened around them
  return fmt::format("gdb --args {} {} {} {}seed={} profile={}", shell_word(report.helper), shell_word(report.plugin),
                     result.group, whole ? "" : shell_word("only=" + result.name) + " ", report.seed, report.profile);
}

}  // namespace quoin::conform
