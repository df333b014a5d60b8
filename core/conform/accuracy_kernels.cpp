// Group 9: every kernel of the plugin beside the portable one, on every node of the grid that it accepts.
#include <algorithm>

#include "conform/accuracy.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

// Whether selection gives the kernel any node of the graph on a host with these instruction sets.
bool takes_part(const kernels::KernelSet& set, const ir::Graph& graph, const quoin_kernel& kernel, uint64_t isa,
                std::string& why_not) {
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  for (uint32_t i = 0; i < snapshot.node_ids().size(); ++i) {
    if (graph.node(snapshot.node_ids()[i]).op() != kernel.op) continue;
    const auto choice = set.select(snapshot.view(), i, isa);
    if (choice && choice->provider != kernels::kPortable) return true;
    if (choice && !choice->passed_over.empty()) why_not = choice->passed_over[0];
  }
  return false;
}

// "" or the first node whose results differ; operands are those of the portable kernels up to there.
std::string compare(const Material& material, const kernels::KernelSet& set, const quoin_host& host, int steps) {
  std::vector<Tensor> inputs;
  for (const ir::ValueId id : material.graph.inputs()) inputs.push_back(material.values.at(id));
  const auto found = compute(material.graph, inputs, set, host);
  if (!found) return found.error().text();
  for (const ir::NodeId id : material.graph.order())
    for (const ir::ValueId value : material.graph.node(id).outputs) {
      const Tolerance tolerance = tolerance_of(material, std::span(&id, 1), value, steps);
      if (std::string off = difference(material.values.at(value), found->at(value), tolerance); !off.empty())
        return fmt::format("{} ({}): {}", material.name, material.graph.describe(id), off);
    }
  return {};
}

struct Tier {
  std::unique_ptr<host::Services> services;
  uint64_t isa;
};

std::vector<Tier> tiers_for(const quoin_kernel& kernel, uint64_t machine) {
  std::vector<Tier> out;
  for (const uint64_t isa : isa_tiers(machine))
    if ((kernel.isa & ~isa) == 0)
      out.push_back({std::make_unique<host::Services>(host::Services::Options{1, isa, {}}), isa});
  return out;
}

Verdict check(GridMaterial& materials, const std::vector<Form>& forms, const quoin_kernel& kernel) {
  const Subject& subject = materials.bench().subject();
  const std::vector<Tier> tiers = tiers_for(kernel, materials.bench().host().isa);
  if (tiers.empty())
    return skipped(fmt::format("it needs {}, this machine has {}", host::isa_name(kernel.isa),
                               host::isa_name(materials.bench().host().isa)));
  kernels::KernelSet set;
  Diagnostics diagnostics;
  set.add("plugin", {&kernel, 1, sizeof kernel}, diagnostics);
  if (const auto notes = diagnostics.notes(); !notes.empty()) return failed(notes[0].what);
  size_t ran = 0;
  std::string why_not = "no generated graph has its operator";
  for (const Form& how : forms)
    for (const GridPoint& point : grid(subject.profile())) {
      const auto material = materials.get(how, point);
      if (!material || !(*material)->why_float.empty()) continue;
      for (const Tier& tier : tiers) {
        if (!takes_part(set, (*material)->graph, kernel, tier.isa, why_not)) continue;
        ++ran;
        std::string fault = compare(**material, set, tier.services->table(), subject.tolerance());
        if (fault.empty()) fault = compare_in_place(**material, set, tier.services->table());
        if (!fault.empty())
          return failed(fmt::format("{} on {}, seed {}", fault, host::isa_name(tier.isa), subject.seed()));
      }
    }
  return ran > 0 ? passed() : skipped("it takes no generated node: " + why_not);
}

}  // namespace

std::vector<Case> kernel_cases(const std::shared_ptr<GridMaterial>& materials, const quoin_plugin& table) {
  std::vector<Case> out;
  const std::vector<Form> all = forms(table);
  for (const quoin_kernel& kernel : elements<quoin_kernel>(table.kernels)) {
    if (kernel.op == nullptr || kernel.name == nullptr) {
      const auto what = fmt::format("row {} of the kernels has no operator or no name", out.size());
      out.push_back({fmt::format("kernel/row {}", out.size()), [what] { return failed(what); }});
      continue;
    }
    out.push_back({fmt::format("kernel/{} {}", kernel.name, kernel.op),
                   [materials, all, kernel] { return check(*materials, all, kernel); }});
  }
  return out;
}

}  // namespace quoin::conform
