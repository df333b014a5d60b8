#include "cli/placement.hpp"

#include <quoin/rules.hpp>

#include <map>
#include <set>

#include "base/text.hpp"
#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

struct Share {
  size_t nodes = 0, integer = 0;
  int64_t macs = 0;
};

// Nodes with one reason, as one row: how many, which operators, the first of them.
struct Group {
  size_t count = 0;
  std::map<std::string, size_t> ops;
  std::string first;
  void add(const std::string& op, const std::string& node) {
    if (count++ == 0) first = node;
    ++ops[op];
  }
  std::string op_text() const {
    std::string text;
    for (const auto& [op, n] : ops) text += (text.empty() ? "" : ", ") + (n == 1 ? op : fmt::format("{} ({})", op, n));
    return text;
  }
};

}  // namespace

std::string_view name(quantize::Verdict::Kind kind) {
  switch (kind) {
    case quantize::Verdict::Kind::quantized:
      return "quantized";
    case quantize::Verdict::Kind::float_by_recipe:
      return "float (recipe)";
    case quantize::Verdict::Kind::float_by_rule:
      return "float (rule)";
    case quantize::Verdict::Kind::no_rule:
      return "float (no rule)";
  }
  return "?";
}

Status check_intended(const quantize::Annotations& annotations, const std::vector<lower::Placement>* result) {
  constexpr size_t kShown = 10;
  std::set<std::string> in_float;
  if (result != nullptr)
    for (const lower::Placement& row : *result)
      if (!row.integer) in_float.insert(row.name);
  std::vector<std::string> lines;
  for (const auto& [id, verdict] : annotations.verdicts) {
    const bool fell_back = verdict.kind == quantize::Verdict::Kind::quantized && in_float.contains(verdict.node) &&
                           annotations.find({id, 0, false}) != nullptr;
    if (!verdict.unintended && !fell_back) continue;
    lines.push_back(fmt::format(
        "{} ({}): {}", verdict.node, verdict.op,
        fell_back ? "computes in float between integers (--verbose without --strict says why)" : verdict.reason));
  }
  if (lines.empty()) return {};
  const size_t count = lines.size();
  if (count > kShown) {
    lines.resize(kShown);
    lines.push_back(fmt::format("and {} more", count - kShown));
  }
  return fail(
      Error{Code::strict,
            fmt::format("{} node(s) are in float though the recipe wants them quantized: {}", count, join(lines, "; ")),
            {},
            "leave them in float by rules with preset: null, or leave --strict out"});
}

std::string placement_table(const std::vector<lower::Placement>& placement) {
  std::map<std::string, Share> shares;
  int64_t total = 0;
  for (const lower::Placement& row : placement) {
    Share& share = shares[row.backend];
    ++share.nodes;
    share.integer += row.integer ? 1 : 0;
    share.macs += row.macs;
    total += row.macs;
  }
  Table table({"backend", "nodes", "integer", "multiply-adds"});
  for (const auto& [backend, share] : shares) {
    const double percent = total == 0 ? 0 : 100.0 * static_cast<double>(share.macs) / static_cast<double>(total);
    table.row({backend, std::to_string(share.nodes), std::to_string(share.integer), fmt::format("{:.1f} %", percent)});
  }
  return table.text();
}

std::string left_out_text(const flow::Quantized& result) {
  std::map<std::string, std::string> on_kernels;  // reason by node
  for (const lower::Placement& row : result.lowered.placement)
    if (row.backend == "kernels") on_kernels[row.name] = row.reason;

  std::map<std::string, Group> groups;
  Group by_design;
  for (const auto& [id, verdict] : result.annotations.verdicts) {
    if (verdict.kind == quantize::Verdict::Kind::quantized) continue;
    const auto outside = on_kernels.find(verdict.node);
    const bool chosen = verdict.reason.ends_with(sdk::kLeftInFloat);
    if (outside != on_kernels.end() && (chosen || outside->second.ends_with(verdict.reason))) continue;  // row below
    (chosen ? by_design : groups["in float: " + verdict.reason]).add(verdict.op, verdict.node);
  }
  for (const lower::Placement& row : result.lowered.placement)
    if (row.backend == "kernels") groups["on kernels: " + row.reason].add(row.op, row.name);

  std::string text;
  if (!groups.empty()) {
    Table table({"nodes", "operators", "first", "reason"}, {1});
    for (const auto& [reason, group] : groups)
      table.row({std::to_string(group.count), group.op_text(), group.first, reason});
    text = table.text();
  }
  if (by_design.count != 0)
    text += fmt::format(
        "{} node(s) run in float inside a plugin, as the preset wants it ({}); explain lists them\n", by_design.count,
        by_design.ops.size() <= 2 ? by_design.op_text() : fmt::format("{} operators", by_design.ops.size()));
  return text;
}

Json placement_json(const std::vector<lower::Placement>& placement) {
  Json out = Json::array();
  for (const lower::Placement& row : placement)
    out.push_back({{"node", row.name},
                   {"op", row.op},
                   {"module", row.module},
                   {"backend", row.backend},
                   {"kernel", row.kernel},
                   {"integer", row.integer},
                   {"macs", row.macs},
                   {"reason", row.reason}});
  return out;
}

}  // namespace quoin::cli
