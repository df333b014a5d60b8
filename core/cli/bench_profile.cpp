#include "cli/bench_profile.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "cli/terminal.hpp"

namespace quoin::cli {
namespace {

constexpr int kRuns = 5;         // whose fastest is shown
constexpr size_t kLongest = 20;  // steps shown

Work work_of(const OpShare& share) {
  if (converts(share.op)) return Work::conversion;
  if (share.where.starts_with("portable")) return Work::portable;
  return share.macs > 0 ? Work::products : Work::other;
}

RunProfile summarise(std::vector<runtime::Event> events, std::vector<Cost> costs, double total_us) {
  RunProfile out;
  out.total_us = total_us;
  std::map<std::pair<std::string, std::string>, OpShare> by_op;
  for (size_t i = 0; i < events.size(); ++i) {
    const runtime::Event& event = events[i];
    if (event.op == "delegate") continue;  // its steps are events of their own
    OpShare& share = by_op[{event.op, event.backend}];
    share.op = event.op;
    share.where = event.backend;
    ++share.count;
    share.us += us_of(event);
    share.macs += costs[i].macs;
    share.bytes += costs[i].bytes;
    share.unknown += costs[i].bytes == 0 ? 1 : 0;
    out.longest.push_back(i);
  }
  for (auto& [key, share] : by_op) {
    share.work = work_of(share);
    out.ops.push_back(std::move(share));
  }
  std::ranges::stable_sort(out.ops, std::greater(), &OpShare::us);
  std::ranges::stable_sort(out.longest, std::greater(), [&](size_t i) { return us_of(events[i]); });
  out.longest.resize(std::min(out.longest.size(), kLongest));
  out.events = std::move(events);
  out.costs = std::move(costs);
  return out;
}

std::string rate(double value) { return value == 0 ? "" : fmt::format("{:.{}f}", value, value < 10 ? 1 : 0); }

std::string label(const Rival& rival) { return rival.name + (rival.quantized ? " (quantized)" : " (float)"); }

// In which kind of work the loser spends most of what it takes longer.
std::string cause_of(const RunProfile& loser, const RunProfile& winner, const std::string& isa) {
  struct Kind {
    Work work;
    std::string text;
  };
  const std::array kinds = {
      Kind{Work::conversion,
           "in conversions between float and integer; quantize the operators between them as well, or leave their "
           "neighbours in float (`quoin explain` says which)"},
      Kind{Work::portable,
           "in operators that no plugin took, on portable kernels (`quoin explain` says which and why)"},
      Kind{Work::products, "in the products themselves: integer ones gain nothing on this machine (" + isa + ")"},
      Kind{Work::other, "in operators that compute no products"},
  };
  const auto grown = [&](const Kind& kind) { return loser.us_of(kind.work) - winner.us_of(kind.work); };
  const Kind& most = *std::ranges::max_element(kinds, {}, grown);
  return fmt::format("{:.0f} of {:.0f} us more are {}", grown(most), loser.total_us - winner.total_us, most.text);
}

}  // namespace

double RunProfile::us_of(Work work) const {
  double out = 0;
  for (const OpShare& share : ops)
    if (share.work == work) out += share.us;
  return out;
}

Result<RunProfile> profile_run(runtime::Executable& executable, size_t method, const std::vector<Tensor>& inputs) {
  RunProfile best;
  for (int i = 0; i < kRuns; ++i) {
    std::vector<runtime::Event> events;
    const auto begin = std::chrono::steady_clock::now();
    if (auto out = executable.run(method, inputs, &events); !out) return fail(std::move(out).error());
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    if (i != 0 && spent.count() >= best.total_us) continue;
    std::vector<Cost> costs = costs_of(executable.model(), method, inputs, events);
    best = summarise(std::move(events), std::move(costs), spent.count());
  }
  return best;
}

Json profile_json(const RunProfile& profile) {
  Json ops = Json::array();
  for (const OpShare& share : profile.ops)
    ops.push_back({{"op", share.op},
                   {"where", share.where},
                   {"count", share.count},
                   {"us", share.us},
                   {"share", share.us / profile.total_us},
                   {"gops", share.macs > 0 ? Json(share.gops()) : Json(nullptr)},
                   {"gigabytes_per_second", share.unknown == 0 ? Json(share.gigabytes_per_second()) : Json(nullptr)}});
  return {{"total_us", profile.total_us},
          {"conversion_share", profile.share_of(Work::conversion)},
          {"portable_share", profile.share_of(Work::portable)},
          {"ops", ops}};
}

std::string profile_text(const RunProfile& profile) {
  Table shares({"us", "share", "count", "GOPS", "GB/s", "op", "where"});
  for (const OpShare& share : profile.ops)
    shares.row({fmt::format("{:.1f}", share.us), fmt::format("{:.1f} %", 100 * share.us / profile.total_us),
                std::to_string(share.count), rate(share.gops()), rate(share.gigabytes_per_second()), share.op,
                share.where});
  Table steps({"us", "GOPS", "GB/s", "name", "op", "where", "module"});
  for (const size_t i : profile.longest) {
    const runtime::Event& event = profile.events[i];
    const double us = us_of(event);
    steps.row({fmt::format("{:.1f}", us), rate(gops(profile.costs[i].macs, us)),
               rate(gigabytes_per_second(profile.costs[i].bytes, us)), event.name, event.op, event.backend,
               event.module});
  }
  return fmt::format("{}{:.1f} us in all; conversions between float and integer {:.1f} %\n\nlongest steps\n{}",
                     shares.text(), profile.total_us, 100 * profile.share_of(Work::conversion), steps.text());
}

bool is_quantized(const program::Model& model) {
  const auto in_graph = [](const program::Graph& graph) {
    return std::ranges::any_of(graph.values, [](const program::Value& v) { return v.type.qparams != nullptr; });
  };
  if (std::ranges::any_of(model.methods, [&](const program::Method& m) { return in_graph(m.graph); })) return true;
  if (std::ranges::any_of(model.delegates,
                          [&](const program::Delegate& d) { return d.original && in_graph(*d.original); }))
    return true;
  // Delegates without their original do not tell; the recipe that made them does.
  const auto stored = model.metadata.find("recipe");
  if (stored == model.metadata.end()) return false;
  const auto recipe = recipe::parse(stored->second, "", {});
  return recipe && (!recipe->quantize.quantizers.empty() || !recipe->quantize.source.rules.empty());
}

Verdict judge(const Rival& a, const Rival& b, const std::string& isa) {
  constexpr double kNoise = 0.02;
  const double min = b.ms_min / a.ms_min, median = b.ms_median / a.ms_median;
  const bool equal = std::abs(median - 1) <= kNoise;
  Verdict out;
  out.text = fmt::format("{} is {} {}: {:.2f}x (minimum), {:.2f}x (median)", label(a),
                         equal        ? "as fast as"
                         : median > 1 ? "faster than"
                                      : "slower than",
                         label(b), min, median);
  if (a.quantized && !b.quantized && !equal && median < 1) out.cause = cause_of(*a.profile, *b.profile, isa);
  return out;
}

}  // namespace quoin::cli
