#include "base/utf8.hpp"
#include "conform/conform.hpp"

namespace quoin::conform {
namespace {

// Characters that XML 1.0 does not allow, even escaped: most controls, U+FFFE and U+FFFF, bytes that are no UTF-8.
bool allowed(std::string_view character) {
  if (character.empty() || character == "\xef\xbf\xbe" || character == "\xef\xbf\xbf") return false;
  const auto first = static_cast<unsigned char>(character[0]);
  return first >= 0x20 || first == '\t' || first == '\n' || first == '\r';
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, utf8_character(text));
    text.remove_prefix(std::max<size_t>(character.size(), 1));
    if (!allowed(character))
      out += '?';
    else if (character == "&" || character == "<" || character == ">" || character == "\"" ||
             static_cast<unsigned char>(character[0]) < ' ')
      out += fmt::format("&#{};", static_cast<int>(character[0]));
    else
      out += character;
  }
  return out;
}

std::string body(const Report& report, const CaseResult& result) {
  const std::string detail = escaped(result.detail), tag = escaped(result.tag);
  switch (result.outcome) {
    case Outcome::pass:
      return detail.empty() ? "" : "<system-out>" + detail + "</system-out>";
    case Outcome::fail:
    case Outcome::xpass:
      return fmt::format("<failure message=\"{}\" type=\"{}\">{}\n{}</failure>", detail, outcome_name(result.outcome),
                         detail, escaped(again(report, result)));
    case Outcome::skip:
      return fmt::format("<skipped message=\"{}\"/>", detail);
    case Outcome::unsupported:
    case Outcome::xfail:
      return fmt::format("<skipped message=\"{}: {}\"/><system-out>{}</system-out>", outcome_name(result.outcome), tag,
                         detail);
  }
  return {};
}

std::string counts(const Report& report, std::string_view group, double seconds) {
  const auto count = [&](Outcome outcome) { return report.count(outcome, group); };
  size_t all = 0;
  for (const Outcome outcome : kOutcomes) all += count(outcome);
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3f}\"", all,
                     count(Outcome::fail) + count(Outcome::xpass),
                     count(Outcome::skip) + count(Outcome::unsupported) + count(Outcome::xfail), seconds);
}

}  // namespace

std::string junit(const Report& report) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  out += fmt::format("<testsuites name=\"{}\" {}>\n", escaped("conformance of " + report.name + " " + report.version),
                     counts(report, {}, report.seconds));
  for (const Group* group : report.groups()) {
    out += fmt::format("  <testsuite name=\"{}\" {}>\n", group->name,
                       counts(report, group->name, report.time(group->name)));
    for (const CaseResult& result : report.cases) {
      if (result.group != group->name) continue;
      out += fmt::format("    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3f}\">{}</testcase>\n",
                         escaped(report.name), group->name, escaped(result.name), result.seconds, body(report, result));
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace quoin::conform
