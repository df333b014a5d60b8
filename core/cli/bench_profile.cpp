#include "cli/bench_profile.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "cli/terminal.hpp"
#include "lower/placement.hpp"

namespace quoin::cli {
namespace {

constexpr int kRuns = 5;         // whose fastest is shown
constexpr size_t kLongest = 20;  // steps shown

bool converts(std::string_view op) {
  return op.find("quantize") != std::string_view::npos || op.find("choose_qparams") != std::string_view::npos;
}

// Multiply-adds by debug id. An id may stand for a product and the conversions that were put around it.
using Macs = std::map<uint64_t, uint64_t>;

void add_macs(const program::Graph& graph, Macs& to) {
  for (const program::Node& node : graph.nodes)
    if (const int64_t macs = node.op.empty() ? 0 : lower::macs(graph, node); macs > 0)
      to[node.debug_id] = static_cast<uint64_t>(macs);
}

Macs macs_of(const program::Model& model, size_t method) {
  Macs out;
  add_macs(model.methods[method].graph, out);
  for (const program::Node& call : model.methods[method].graph.nodes) {
    if (!call.op.empty()) continue;
    const program::Delegate& delegate = model.delegates[call.delegate];
    for (size_t i = 0; i < delegate.macs.size(); ++i)
      if (delegate.macs[i] > 0) out[delegate.debug_ids[i]] = delegate.macs[i];
    if (delegate.original) add_macs(*delegate.original, out);
  }
  return out;
}

Work work_of(const OpShare& share) {
  if (converts(share.op)) return Work::conversion;
  if (share.where.starts_with("portable")) return Work::portable;
  return share.macs > 0 ? Work::products : Work::other;
}

// Of steps with one debug id, the longest one that converts nothing is the product.
std::map<uint64_t, const runtime::Event*> products(const std::vector<runtime::Event>& events, const Macs& macs) {
  std::map<uint64_t, const runtime::Event*> out;
  for (const runtime::Event& event : events) {
    if (!macs.contains(event.debug_id) || event.op == "delegate" || converts(event.op)) continue;
    const runtime::Event*& longest = out[event.debug_id];
    if (longest == nullptr || event.end_ns - event.start_ns > longest->end_ns - longest->start_ns) longest = &event;
  }
  return out;
}

RunProfile summarise(const std::vector<runtime::Event>& events, double total_us, const Macs& macs) {
  RunProfile out;
  out.total_us = total_us;
  const auto product = products(events, macs);
  std::map<std::pair<std::string, std::string>, OpShare> by_op;
  for (const runtime::Event& event : events) {
    if (event.op == "delegate") continue;  // its steps are events of their own
    OpShare& share = by_op[{event.op, event.backend}];
    share.op = event.op;
    share.where = event.backend;
    ++share.count;
    share.us += static_cast<double>(event.end_ns - event.start_ns) / 1e3;
    if (const auto found = product.find(event.debug_id); found != product.end() && found->second == &event)
      share.macs += macs.at(event.debug_id);
    out.longest.push_back(event);
  }
  for (auto& [key, share] : by_op) {
    share.work = work_of(share);
    out.ops.push_back(std::move(share));
  }
  std::ranges::stable_sort(out.ops, std::greater(), &OpShare::us);
  std::ranges::stable_sort(out.longest, std::greater(), [](const auto& e) { return e.end_ns - e.start_ns; });
  out.longest.resize(std::min(out.longest.size(), kLongest));
  return out;
}

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
  const Macs macs = macs_of(executable.model(), method);
  RunProfile best;
  for (int i = 0; i < kRuns; ++i) {
    std::vector<runtime::Event> events;
    const auto begin = std::chrono::steady_clock::now();
    if (auto out = executable.run(method, inputs, &events); !out) return fail(std::move(out).error());
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    if (i == 0 || spent.count() < best.total_us) best = summarise(events, spent.count(), macs);
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
                   {"gops", share.macs > 0 ? Json(share.gops()) : Json(nullptr)}});
  return {{"total_us", profile.total_us},
          {"conversion_share", profile.share_of(Work::conversion)},
          {"portable_share", profile.share_of(Work::portable)},
          {"ops", ops}};
}

std::string profile_text(const RunProfile& profile) {
  Table shares({"us", "share", "count", "GOPS", "op", "where"});
  for (const OpShare& share : profile.ops)
    shares.row({fmt::format("{:.1f}", share.us), fmt::format("{:.1f} %", 100 * share.us / profile.total_us),
                std::to_string(share.count), share.macs > 0 ? fmt::format("{:.0f}", share.gops()) : "", share.op,
                share.where});
  Table steps({"us", "name", "op", "where", "module"});
  for (const runtime::Event& event : profile.longest)
    steps.row({fmt::format("{:.1f}", static_cast<double>(event.end_ns - event.start_ns) / 1e3), event.name, event.op,
               event.backend, event.module});
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
