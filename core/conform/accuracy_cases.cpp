// Group 9: what a plugin computes is what the portable kernels compute, over the grid of operators.
#include "conform/accuracy.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "conform/forked.hpp"

namespace quoin::conform {
namespace {

// -- tolerances

// Arithmetic on floats: neither a conversion nor data movement.
bool computes_on_floats(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& node = graph.node(id);
  const TensorType& out = graph.value(node.outputs[0]).type;
  const bool exact = node.schema->traits.moves_data || node.schema->traits.clamps || is_conversion(graph, id);
  return !exact && out.dtype == DType::f32 && !out.qparams;
}

// The largest scale in front of a dequantization: what one step is worth behind it.
double step_of(const ir::Graph& graph, std::span<const ir::NodeId> nodes) {
  double step = 0;
  for (const ir::NodeId id : nodes)
    if (graph.node(id).op() == "quoin.dequantize.default")
      for (const float scale : graph.value(graph.input(id, 0)).type.qparams->scale)
        step = std::max(step, double{scale});
  return step;
}

// The largest finite number among the floats that the nodes read or make.
double magnitude_of(const Material& material, std::span<const ir::NodeId> nodes) {
  double largest = 0;
  const auto look = [&](ir::ValueId id) {
    if (id == ir::kNone || material.values.at(id).dtype() != DType::f32) return;
    for (const float x : material.values.at(id).as<float>())
      if (std::isfinite(x)) largest = std::max(largest, std::abs(double{x}));
  };
  for (const ir::NodeId id : nodes) {
    std::ranges::for_each(material.graph.node(id).inputs, look);
    std::ranges::for_each(material.graph.node(id).outputs, look);
  }
  return largest;
}

// -- one graph

struct Results {
  std::string why_not;                     // no claim that computes anything
  std::map<ir::ValueId, Tensor> integers;  // by value of the graph
};

// "" or what is wrong with a claim on one tier.
std::string compare(const Job& job, int steps, Results& out) {
  const auto results = run_once(*job.claim.backend, job.graph(), job.compiled, job.inputs);
  if (!results) return results.error().text();
  for (size_t i = 0; i < results->size(); ++i) {
    const ir::ValueId value = job.compiled.outputs[i];
    const Tolerance tolerance = tolerance_of(*job.material, job.claim.nodes, value, steps);
    if (std::string off = difference(job.expected[i], (*results)[i], tolerance); !off.empty())
      return fmt::format("output {} ({}): {}", i, job.graph().value(value).name, off);
    if (job.graph().value(value).type.qparams) out.integers.insert_or_assign(value, (*results)[i]);
  }
  return {};
}

std::string first_reason(const Jobs& made, const ir::Graph& graph) {
  for (const auto& [node, reasons] : made.reasons)
    if (!reasons.empty() && !is_conversion(graph, node)) return reasons[0];
  return "it gave no reason";
}

bool computes(const Job& job) {
  return std::ranges::any_of(job.claim.nodes, [&](ir::NodeId id) { return !is_conversion(job.graph(), id); });
}

// Every claim on one tier.
std::string check_tier(const std::shared_ptr<const Material>& material, const std::shared_ptr<host::Backend>& backend,
                       uint64_t isa, int steps, Results& out) {
  const auto made = make_jobs(material, backend, isa);
  if (!made) return made.error().text();
  out.why_not = std::ranges::any_of(made->jobs, computes) ? "" : first_reason(*made, material->graph);
  for (const Job& job : made->jobs)
    if (std::string fault = compare(job, steps, out); !fault.empty())
      return fmt::format("{} ({}): {}", job.name, job.graph().describe(job.claim.nodes[0]), fault);
  return {};
}

// A backend per tier, each with a host of its own.
class Tiers {
 public:
  explicit Tiers(const Subject& subject) : subject_(subject) {}
  struct Tier {
    uint64_t isa;
    std::unique_ptr<host::Services> services;
    std::shared_ptr<host::Backend> backend;
  };
  // Errors: those of Subject::open.
  Result<std::span<const Tier>> all() {
    if (tiers_.empty())
      for (const uint64_t isa : isa_tiers(subject_.services().table().isa)) {
        auto services = std::make_unique<host::Services>(host::Services::Options{1, isa, {}});
        auto backend = subject_.open(&services->table());
        if (!backend) {
          tiers_.clear();
          return fail(in(host::isa_name(isa), backend.error()));
        }
        tiers_.push_back({isa, std::move(services), *backend});
      }
    return std::span<const Tier>(tiers_);
  }

 private:
  const Subject& subject_;
  std::vector<Tier> tiers_;
};

Verdict check(Tiers& tiers, const std::shared_ptr<const Material>& material, int steps, uint64_t seed) {
  const auto all = tiers.all();
  if (!all) return failed(all.error().text());
  Results first;
  for (size_t i = 0; i < all->size(); ++i) {
    const Tiers::Tier& tier = (*all)[i];
    const auto where = [&](const std::string& what) {
      return failed(fmt::format("{} on {}, seed {}", what, host::isa_name(tier.isa), seed));
    };
    Results found;
    if (std::string fault = check_tier(material, tier.backend, tier.isa, steps, found); !fault.empty())
      return where(fault);
    if (i == 0) first = std::move(found);
    for (const auto& [value, tensor] : found.integers)
      if (const auto other = first.integers.find(value); other != first.integers.end())
        if (std::string off = difference(other->second, tensor, {}); !off.empty())
          return where(fmt::format("{} differs from that on {}: {}", material->graph.value(value).name,
                                   host::isa_name((*all)[0].isa), off));
    if (i + 1 == all->size() && !found.why_not.empty()) return skipped("not claimed: " + found.why_not);
  }
  return passed();
}

// -- the list of cases

// The families of a form of which the plugin claims no variant, each with the reason. Asked in a process apart, because
// a plugin may crash on any of them: then the family counts as claimed, and its cases name what is wrong.
std::map<std::string, std::string> unclaimed(GridMaterial& materials, const Form& how,
                                             const std::vector<GridPoint>& points) {
  constexpr size_t kText = 256;
  void* const shared = mmap(nullptr, points.size() * kText, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return {};
  auto* const board = static_cast<char*>(shared);
  run_trials(points.size(), {std::chrono::seconds(5), 0, points.size()}, [&](size_t i) {
    const auto material = materials.get(how, points[i]);
    if (!material) return std::string();
    std::string why = (*material)->why_float;
    if (why.empty()) {
      const auto made = make_jobs(*material, *materials.bench().backend(), materials.bench().host().isa);
      if (made && std::ranges::none_of(made->jobs, computes)) why = first_reason(*made, (*material)->graph);
    }
    std::memcpy(board + i * kText, why.data(), std::min(why.size(), kText - 1));
    return std::string();
  });
  std::map<std::string, std::string> out, claimed;
  for (size_t i = 0; i < points.size(); ++i) {
    const std::string why = board + i * kText;
    (why.empty() ? claimed : out).emplace(points[i].family->name, why);
  }
  munmap(shared, points.size() * kText);
  for (const auto& [family, nothing] : claimed) out.erase(family);
  return out;
}

void add_grid(const std::shared_ptr<GridMaterial>& materials, const std::shared_ptr<Tiers>& tiers, const Form& how,
              const std::vector<GridPoint>& points, std::vector<Case>& out) {
  auto never = unclaimed(*materials, how, points);
  for (const GridPoint& point : points) {
    const auto reason = never.find(point.family->name);
    if (reason != never.end()) {
      if (!reason->second.empty())
        out.push_back(
            {how.name + "/" + point.family->name, [why = reason->second] { return skipped("not claimed: " + why); }});
      reason->second.clear();
      continue;
    }
    out.push_back({how.name + "/" + point.name(), [materials, tiers, how, point] {
                     const Subject& subject = materials->bench().subject();
                     const auto material = materials->get(how, point);
                     if (!material) return failed(material.error().text());
                     if (!(*material)->why_float.empty()) return skipped("left in float: " + (*material)->why_float);
                     return check(*tiers, *material, subject.tolerance(), subject.seed());
                   }});
  }
}

void add_networks(const std::shared_ptr<GridMaterial>& materials, const std::shared_ptr<Tiers>& tiers, const Form& how,
                  std::vector<Case>& out) {
  const uint64_t count = materials->bench().is_full() ? 400 : 20;
  for (uint64_t i = 0; i < count; ++i)
    out.push_back({fmt::format("{}/network/{}", how.name, i), [materials, tiers, how, i] {
                     Workbench& bench = materials->bench();
                     const Subject& subject = bench.subject();
                     const auto backend = bench.backend();
                     if (!backend) return failed(backend.error().text());
                     const auto material =
                         make_material(how, fmt::format("network/{}", i), network(subject.seed() * 1000 + i), *backend,
                                       bench.host(), subject.seed());
                     if (!material) return failed(material.error().text());
                     if (!(*material)->why_float.empty()) return skipped("left in float: " + (*material)->why_float);
                     return check(*tiers, *material, subject.tolerance(), subject.seed());
                   }});
}

}  // namespace

Tolerance tolerance_of(const Material& material, std::span<const ir::NodeId> nodes, ir::ValueId output, int steps) {
  const ir::Graph& graph = material.graph;
  const bool rounds = std::ranges::any_of(nodes, [&](ir::NodeId id) { return computes_on_floats(graph, id); });
  Tolerance out;
  out.steps = steps + (rounds ? 1 : 0);
  out.relative = rounds ? 1e-5 : 1e-6;
  if (rounds) out.magnitude = magnitude_of(material, nodes);
  if (!graph.value(output).type.qparams) out.step = step_of(graph, nodes);
  return out;
}

std::vector<uint64_t> isa_tiers(uint64_t machine) {
  std::vector<uint64_t> out;
  for (const std::string& name : host::isa_tiers())
    if (const auto isa = host::parse_isa(name); isa && (*isa & ~machine) == 0) out.push_back(*isa);
  if (std::ranges::find(out, machine) == out.end()) out.push_back(machine);
  return out;
}

Result<std::shared_ptr<const Material>> GridMaterial::get(const Form& how, const GridPoint& point) {
  const auto make = [&]() -> Result<std::shared_ptr<const Material>> {
    QUOIN_TRY(ir::Graph graph, build(point, bench_->subject().seed()));
    QUOIN_TRY(const auto backend, bench_->backend());
    return make_material(how, point.name(), std::move(graph), backend, bench_->host(), bench_->subject().seed());
  };
  const std::string key = how.name + "/" + point.name();
  const auto found = made_.find(key);
  return found != made_.end() ? found->second : made_.emplace(key, make()).first->second;
}

std::vector<Case> accuracy_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  const auto materials = std::make_shared<GridMaterial>(std::make_shared<Workbench>(subject));
  std::vector<Case> out;
  if ((*table)->compiler != nullptr && (*table)->executor != nullptr) {
    const auto tiers = std::make_shared<Tiers>(subject);
    const std::vector<GridPoint> points = grid(subject.profile());
    for (const Form& how : forms(**table)) {
      add_grid(materials, tiers, how, points, out);
      add_networks(materials, tiers, how, out);
    }
  } else {
    out.push_back({"delegates", [] { return skipped("the plugin has no compiler and executor"); }});
  }
  if ((*table)->kernels.count == 0)
    out.push_back({"kernels", [] { return skipped("the plugin has no kernels"); }});
  else
    std::ranges::move(kernel_cases(materials, **table), std::back_inserter(out));
  return out;
}

}  // namespace quoin::conform
