#include <algorithm>
#include <map>

#include "base/markdown.hpp"
#include "conform/conform.hpp"

namespace quoin::conform {
namespace {

constexpr std::string_view kAccuracy = "accuracy";  // whose cases are called FORM/OPERATOR/SHAPE

// In a table cell: one line, no markup.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t')
      out += ' ';
    else if (std::string_view("|\\`*_<>[]#").find(c) != std::string_view::npos)
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out;
}

std::string about(const Report& report) {
  std::string out = fmt::format("# Conformance of {} {}\n\n", cell(report.name), cell(report.version));
  out += report.conforms() ? "**Conforms.**\n\n" : "**Does not conform.**\n\n";
  out += markdown_head({"", ""});
  if (!report.vendor.empty()) out += markdown_row({"vendor", cell(report.vendor)});
  out += markdown_row({"SHA-256", "`" + report.sha256 + "`"});
  out +=
      markdown_row({"kit", fmt::format("Quoin {}, profile {}, seed {}", QUOIN_VERSION, report.profile, report.seed)});
  out += markdown_row({"instruction sets", cell(report.isa)});
  return out + markdown_row({"time", fmt::format("{:.1f} s", report.seconds)});
}

std::string by_group(const Report& report) {
  std::string out =
      "\n## Groups\n\n" + markdown_head({"group", "what it proves", "passed", "failed", "skipped", "tagged"});
  for (const Group* group : report.groups()) {
    const auto count = [&](Outcome outcome) { return report.count(outcome, group->name); };
    out += markdown_row({group->name, cell(group->title), fmt::to_string(count(Outcome::pass)),
                         fmt::to_string(count(Outcome::fail) + count(Outcome::xpass)),
                         fmt::to_string(count(Outcome::skip)),
                         fmt::to_string(count(Outcome::unsupported) + count(Outcome::xfail))});
  }
  return out;
}

// What became of the shapes of one operator in one form.
struct Shapes {
  size_t passed = 0, failed = 0, tagged = 0;
  void add(Outcome outcome) {
    passed += outcome == Outcome::pass;
    failed += outcome == Outcome::fail || outcome == Outcome::xpass;
    tagged += outcome == Outcome::unsupported || outcome == Outcome::xfail;
  }
  std::string text() const {
    std::vector<std::string> parts;
    if (failed != 0) parts.push_back(fmt::format("**{} failed**", failed));
    if (passed != 0) parts.push_back(fmt::format("{} passed", passed));
    if (tagged != 0) parts.push_back(fmt::format("{} tagged", tagged));
    return parts.empty() ? "–" : join(parts, ", ");
  }
};

// One row per operator, one column per form.
std::string accuracy(const Report& report) {
  std::vector<std::string> forms;
  std::map<std::string, std::map<std::string, Shapes>> operators;  // by form
  for (const CaseResult& result : report.cases) {
    const std::vector<std::string> parts = split(result.name, '/');
    if (result.group != kAccuracy || parts.size() < 2) continue;
    if (std::ranges::find(forms, parts[0]) == forms.end()) forms.push_back(parts[0]);
    operators[parts[1]][parts[0]].add(result.outcome);
  }
  if (operators.empty()) return {};
  std::vector<std::string> header = {"operator"};
  for (const std::string& form : forms) header.push_back(cell(form));
  std::string out =
      "\n## Accuracy\n\nShapes whose results are those of the portable reference; – where the plugin does not take the "
      "operator.\n\n" +
      markdown_head(header);
  for (auto& [name, by_form] : operators) {
    std::vector<std::string> line = {cell(name)};
    for (const std::string& form : forms) line.push_back(by_form[form].text());
    out += markdown_row(line);
  }
  return out;
}

// The cases with one of these outcomes; nothing when there are none.
std::string listing(const Report& report, const std::string& title, const std::vector<Outcome>& outcomes,
                    const std::string& column, std::string (*why)(const CaseResult&)) {
  std::string rows;
  for (const CaseResult& result : report.cases)
    if (std::ranges::find(outcomes, result.outcome) != outcomes.end())
      rows += markdown_row(
          {cell(result.group + "/" + result.name), std::string(outcome_name(result.outcome)), why(result)});
  return rows.empty() ? "" : "\n## " + title + "\n\n" + markdown_head({"case", "outcome", column}) + rows;
}

}  // namespace

std::string markdown(const Report& report) {
  const auto detail = [](const CaseResult& result) { return cell(result.detail); };
  const auto tag = [](const CaseResult& result) { return cell(result.tag); };
  return about(report) + by_group(report) + accuracy(report) +
         listing(report, "Failures", {Outcome::fail, Outcome::xpass}, "what was found", detail) +
         listing(report, "Known and tagged", {Outcome::unsupported, Outcome::xfail}, "reason or issue", tag) +
         listing(report, "Skipped", {Outcome::skip}, "why it does not apply", detail);
}

}  // namespace quoin::conform
