// Group 6: claims are possible, every node has an answer, and answers depend on the graph only.
#include <algorithm>
#include <numeric>
#include <set>

#include "conform/graph_copy.hpp"
#include "conform/rewire.hpp"
#include "conform/workbench.hpp"
#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

// One partition() call, in words that do not depend on ids.
struct Split {
  std::set<std::set<std::string>> claims;       // names of nodes
  std::map<std::string, std::string> declined;  // node -> reason
  std::set<std::string> claimed() const {
    std::set<std::string> out;
    for (const auto& claim : claims) out.insert(claim.begin(), claim.end());
    return out;
  }
};

struct Recorder {
  const ir::Graph& graph;
  const std::vector<ir::NodeId>& ids;
  Split split;
  std::string fault;

  std::string node_name(uint32_t node, const char* function) {
    if (node < ids.size()) return graph.node(ids[node]).name;
    fault = fmt::format("{}() for node {} of a graph with {}", function, node, ids.size());
    return {};
  }
  quoin_status claim(const uint32_t* nodes, uint32_t count) {
    std::set<std::string> names;
    for (uint32_t i = 0; nodes != nullptr && i < count; ++i) names.insert(node_name(nodes[i], "claim"));
    split.claims.insert(std::move(names));
    return QUOIN_OK;
  }
  void decline(uint32_t node, quoin_str reason) { split.declined.emplace(node_name(node, "decline"), text(reason)); }

  quoin_claims table() {
    return {sizeof(quoin_claims), 0, this,
            [](void* self, const uint32_t* nodes, uint32_t count, quoin_str) {
              return static_cast<Recorder*>(self)->claim(nodes, count);
            },
            [](void* self, uint32_t node, quoin_str reason) { static_cast<Recorder*>(self)->decline(node, reason); }};
  }
};

// Errors (plugin): partition() failed, or named nodes that do not exist. `values`: see GraphCopy.
Result<Split> split(Workbench& bench, const ir::Graph& graph, std::span<const uint32_t> values = {}) {
  QUOIN_TRY(const auto backend, bench.backend());
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  const GraphCopy copy(*snapshot.view(), values);
  const quoin_lower_request request{sizeof request, 0, copy.view(), {}, bench.host().isa};
  Recorder recorder{graph, snapshot.node_ids(), {}, {}};
  const quoin_claims claims = recorder.table();
  auto called = host::call(backend->name(), [&](quoin_error* error) {
    return backend->table().compiler->partition(backend->handle(), &request, &claims, error);
  });
  if (!called.ok()) return std::move(called.done).failure();
  if (!recorder.fault.empty()) return fail(Code::plugin, "{}", recorder.fault);
  return std::move(recorder.split);
}

std::string difference(const Split& a, const Split& b, bool same_groups) {
  const auto first = a.claimed(), second = b.claimed();
  std::vector<std::string> once;
  std::ranges::set_symmetric_difference(first, second, std::back_inserter(once));
  if (!once.empty())
    return fmt::format("node {} is claimed only {} time", once[0],
                       first.contains(once[0]) ? "the first" : "the second");
  for (const auto& [node, reason] : a.declined)
    if (const auto other = b.declined.find(node); other == b.declined.end() || other->second != reason)
      return fmt::format("node {} is declined as \"{}\", then {}", node, reason,
                         other == b.declined.end() ? "not at all" : "as \"" + other->second + "\"");
  return same_groups && a.claims != b.claims ? "the nodes are grouped into other claims" : "";
}

// The graphs of one form. Errors: those of form().
class Graphs {
 public:
  Graphs(std::shared_ptr<Workbench> bench, Form how) : bench_(std::move(bench)), how_(std::move(how)) {}
  Workbench& bench() { return *bench_; }

  Result<const std::vector<ir::Graph>*> all() {
    if (!graphs_.empty()) return &graphs_;
    QUOIN_TRY(const auto backend, bench_->backend());
    const uint64_t seed = bench_->subject().seed(), networks = bench_->is_full() ? 200 : 20;
    std::vector<ir::Graph> made;
    const auto keep = [&](const std::string& name, ir::Graph graph) -> Status {
      auto formed = form(how_, std::move(graph), backend, bench_->host(), seed);
      if (!formed) return fail(in(name, formed.error()));
      made.push_back(std::move(formed->graph));
      return {};
    };
    for (uint64_t i = 0; i < networks; ++i) QUOIN_CHECK(keep(fmt::format("network/{}", i), network(seed * 1000 + i)));
    for (const Family& family : families()) {
      const GridPoint point{&family, Variant(family.quick[0])};
      QUOIN_TRY(ir::Graph graph, build(point, seed));
      QUOIN_CHECK(keep(point.name(), std::move(graph)));
    }
    graphs_ = std::move(made);
    return &graphs_;
  }

 private:
  std::shared_ptr<Workbench> bench_;
  Form how_;
  std::vector<ir::Graph> graphs_;
};

using Property = Result<std::string> (*)(Workbench&, const ir::Graph&);
Verdict check(Graphs& graphs, Property property) {
  const auto all = graphs.all();
  if (!all) return failed(all.error().text());
  for (size_t i = 0; i < (*all)->size(); ++i) {
    const auto fault = property(graphs.bench(), (**all)[i]);
    if (!fault) return failed(fmt::format("graph {}: {}", i, fault.error().text()));
    if (!fault->empty()) return failed(fmt::format("graph {}: {}", i, *fault));
  }
  return passed();
}

// -- properties

// Known nodes, no overlap, convex: as the lowering checks it.
Result<std::string> is_possible(Workbench& bench, const ir::Graph& graph) {
  QUOIN_TRY(const auto backend, bench.backend());
  lower::Options options;
  options.order = {backend};
  options.isa = bench.host().isa;
  QUOIN_CHECK(lower::partition(graph, options));
  return std::string();
}

Result<std::string> is_complete(Workbench& bench, const ir::Graph& graph) {
  QUOIN_TRY(const Split found, split(bench, graph));
  const auto claimed = found.claimed();
  for (const ir::NodeId id : graph.order()) {
    if (claimed.contains(graph.node(id).name)) continue;
    const auto reason = found.declined.find(graph.node(id).name);
    if (reason == found.declined.end()) return graph.describe(id) + " is neither claimed nor declined";
    if (reason->second.empty()) return graph.describe(id) + " is declined without a reason";
  }
  return std::string();
}

Result<std::string> is_repeatable(Workbench& bench, const ir::Graph& graph) {
  QUOIN_TRY(const Split first, split(bench, graph));
  QUOIN_TRY(const Split second, split(bench, graph));
  return difference(first, second, true);
}

Result<std::string> ignores_value_ids(Workbench& bench, const ir::Graph& graph) {
  std::vector<uint32_t> backwards(ir::Snapshot::of(graph).value_ids().size());
  std::iota(backwards.rbegin(), backwards.rend(), 0u);
  QUOIN_TRY(const Split first, split(bench, graph));
  QUOIN_TRY(const Split second, split(bench, graph, backwards));
  return difference(first, second, true);
}

// Which nodes are claimed; how they are grouped may follow the order.
Result<std::string> ignores_order(Workbench& bench, const ir::Graph& graph) {
  Dice dice(static_cast<uint32_t>(bench.subject().seed()));
  const ir::Graph other = shuffled(graph, dice);
  QUOIN_TRY(const Split first, split(bench, graph));
  QUOIN_TRY(const Split second, split(bench, other));
  if (auto possible = is_possible(bench, other); !possible) return possible;
  return difference(first, second, false);
}

Verdict empty_graph(Workbench& bench) {
  ir::Graph graph;
  graph.set_outputs({graph.add_input("x", {DType::f32, {1, 4}, nullptr})});
  const auto found = split(bench, graph);
  if (!found) return failed("partition() fails on a graph without nodes: " + found.error().text());
  return found->claims.empty() ? passed() : failed("claims something in a graph without nodes");
}

}  // namespace

std::vector<Case> partition_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->compiler == nullptr) return {{"compiler", [] { return skipped("the plugin has no compiler"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  std::vector<Case> out;
  for (const Form& how : forms(**table)) {
    const auto graphs = std::make_shared<Graphs>(bench, how);
    const auto add = [&](const char* name, Property property) {
      out.push_back({how.name + "/" + name, [graphs, property] { return check(*graphs, property); }});
    };
    add("possible", is_possible);
    add("complete", is_complete);
    add("repeatable", is_repeatable);
    add("value-ids", ignores_value_ids);
    add("node-order", ignores_order);
  }
  out.push_back({"empty-graph", [bench] { return empty_graph(*bench); }});
  return out;
}

}  // namespace quoin::conform
