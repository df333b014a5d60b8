#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/file.hpp"
#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/plugin_action.hpp"
#include "cli/terminal.hpp"
#include "conform/conform.hpp"
#include "host/search.hpp"

namespace quoin::cli {
namespace {

using conform::Outcome;

constexpr std::chrono::seconds kQuickCase{20}, kFullCase{300};     // after which a case hangs
constexpr std::chrono::seconds kQuickGroup{60}, kFullGroup{3600};  // after which a group is given up
constexpr size_t kMaxShown = 20;  // failures of one group on the terminal; the reports have all

void add_options(po::options_description& options) {
  options.add_options()("profile", po::value<std::string>()->value_name("NAME")->default_value("quick"),
                        "quick, or full: more shapes, every byte of a blob, every allocation")(
      "config", po::value<std::string>()->value_name("FILE"), "conform.yaml: tolerance, unsupported, xfail")(
      "group", po::value<std::vector<std::string>>()->value_name("NAME"), "check this group only; repeatable")(
      "seed", po::value<uint64_t>()->value_name("N")->default_value(1), "of generated graphs and data")(
      "junit", po::value<std::string>()->value_name("FILE"), "write JUnit XML")(
      "report", po::value<std::string>()->value_name("FILE"), "write a page in Markdown");
}

// The operand is a file, or the name of an installed plugin.
Result<std::string> plugin_file(const Invocation& call) {
  const std::string operand = call.text("operand");
  std::error_code ignore;
  if (operand.find('/') != std::string::npos || std::filesystem::exists(operand, ignore)) return operand;
  QUOIN_TRY(const uint64_t isa, host::detect_isa());
  const PluginSearch search(call, isa);
  const auto& candidates = search.registry.candidates();
  const auto found = std::ranges::find_if(
      candidates, [&](const host::Candidate& c) { return c.ignored.empty() && c.manifest.name == operand; });
  if (found != candidates.end()) return found->path;
  return fail(Code::not_found, "\"{}\" is no file and no usable plugin", operand)
      .hint(did_you_mean(operand, search.registry.names()));
}

Result<conform::Options> options_of(const Invocation& call) {
  conform::Options options;
  const std::string profile = call.text("profile");
  const std::vector<std::string> profiles = {"quick", "full"};
  if (std::ranges::find(profiles, profile) == profiles.end())
    return fail(Code::usage, "\"{}\" is not a profile; expected {}", profile, join(profiles, " or "))
        .at("--profile")
        .hint(did_you_mean(profile, profiles));
  options.profile = profile == "full" ? conform::Profile::full : conform::Profile::quick;
  const bool full = options.profile == conform::Profile::full;
  options.case_timeout = full ? kFullCase : kQuickCase;
  options.group_timeout = full ? kFullGroup : kQuickGroup;
  options.seed = call.options["seed"].as<uint64_t>();
  options.groups = call.list("group");
  if (call.has("config")) {
    QUOIN_TRY(options.expectations, conform::read_expectations(call.text("config")));
  }
  options.helper = host::find_helper("quoin-conform", "core/conform");
  QUOIN_TRY(options.plugin, plugin_file(call));
  return options;
}

Json report_json(const conform::Report& report) {
  Json groups = Json::array(), cases = Json::array(), counts = Json::object();
  for (const Outcome outcome : conform::kOutcomes) counts[std::string(outcome_name(outcome))] = report.count(outcome);
  for (const conform::Group* group : report.groups()) {
    Json row = {{"number", group->number}, {"name", group->name}, {"title", group->title}};
    for (const Outcome outcome : conform::kOutcomes)
      row[std::string(outcome_name(outcome))] = report.count(outcome, group->name);
    row["seconds"] = report.time(group->name);
    groups.push_back(std::move(row));
  }
  for (const conform::CaseResult& result : report.cases)
    cases.push_back({{"group", result.group},
                     {"name", result.name},
                     {"outcome", outcome_name(result.outcome)},
                     {"detail", result.detail},
                     {"tag", result.tag},
                     {"seconds", result.seconds}});
  return {{"plugin", report.name},         {"version", report.version},   {"vendor", report.vendor},
          {"path", report.plugin},         {"sha256", report.sha256},     {"isa", report.isa},
          {"profile", report.profile},     {"seed", report.seed},         {"seconds", report.seconds},
          {"conforms", report.conforms()}, {"counts", std::move(counts)}, {"groups", std::move(groups)},
          {"cases", std::move(cases)}};
}

void print_groups(const conform::Report& report) {
  Table table({"#", "group", "passed", "failed", "skipped", "unsupported", "xfail", "seconds"});
  for (const conform::Group* group : report.groups()) {
    const auto count = [&](Outcome outcome) { return report.count(outcome, group->name); };
    const size_t failed = count(Outcome::fail) + count(Outcome::xpass);
    table.row({fmt::to_string(group->number), group->name, fmt::to_string(count(Outcome::pass)), fmt::to_string(failed),
               fmt::to_string(count(Outcome::skip)), fmt::to_string(count(Outcome::unsupported)),
               fmt::to_string(count(Outcome::xfail)), fmt::format("{:.2f}", report.time(group->name))});
  }
  std::cout << table.text();
}

// Each failure with what was found, and per group how to see it again.
void print_failures(const conform::Report& report) {
  for (const conform::Group* group : report.groups()) {
    size_t shown = 0;
    const conform::CaseResult* last = nullptr;
    for (const conform::CaseResult& result : report.cases) {
      if (result.group != group->name || (result.outcome != Outcome::fail && result.outcome != Outcome::xpass))
        continue;
      last = &result;
      if (shown++ < kMaxShown)
        std::cout << fmt::format("\n{} {}/{}\n  {}\n", bold("failed"), result.group, result.name, result.detail);
    }
    if (last == nullptr) continue;
    if (shown > kMaxShown) std::cout << fmt::format("\n  and {} more in this group\n", shown - kMaxShown);
    std::cout << fmt::format("  again: {}\n  debug: {}\n", again(report, *last), debug(report, *last));
  }
}

void print_report(const conform::Report& report) {
  std::cout << fmt::format("{} {}, profile {}, seed {}, {}\n\n", report.name, report.version, report.profile,
                           report.seed, report.isa);
  print_groups(report);
  print_failures(report);
  const size_t skipped = report.count(Outcome::skip);
  std::cout << fmt::format("\n{} of {} cases passed{} in {:.1f} s\n", report.count(Outcome::pass), report.cases.size(),
                           skipped == 0 ? "" : fmt::format(", {} were skipped", skipped), report.seconds);
}

Status write_reports(const Invocation& call, const conform::Report& report) {
  if (call.has("junit")) QUOIN_CHECK(write_file(call.text("junit"), as_bytes(junit(report))));
  if (call.has("report")) QUOIN_CHECK(write_file(call.text("report"), as_bytes(markdown(report))));
  return {};
}

Status run(Invocation& call) {
  QUOIN_TRY(const conform::Options options, options_of(call));
  QUOIN_CHECK(check_outputs(call, options.plugin));
  TerminalProgress progress(call.quiet);
  QUOIN_TRY(const conform::Report report, conform::check(options, &progress, call.diagnostics));
  progress.finish();
  QUOIN_CHECK(write_reports(call, report));
  QUOIN_CHECK(check_strict(call));
  if (call.json)
    print(report_json(report));
  else
    print_report(report);
  call.answered = true;
  if (report.conforms()) return {};
  return fail(Code::nonconforming, "{} of {} cases failed", report.count(Outcome::fail) + report.count(Outcome::xpass),
              report.cases.size())
      .at("plugin {}", report.name)
      .hint("docs/conformance.md says what each group checks");
}

}  // namespace

PluginAction plugin_check_action() {
  return {"check",
          "FILE|NAME",
          "[--profile full] [--config FILE] [--group NAME]...",
          "does a plugin keep the contract?",
          add_options,
          run};
}

}  // namespace quoin::cli
