#include "lower/lower.hpp"

#include "ir/snapshot.hpp"
#include "lower/build.hpp"
#include "lower/compile.hpp"
#include "lower/partition.hpp"
#include "lower/placement.hpp"
#include "lower/schedule.hpp"

namespace quoin::lower {
namespace {

class Lowering {
 public:
  // `graph` has no dead nodes.
  Lowering(const ir::Graph& graph, const Options& options, const kernels::KernelSet& kernels, Diagnostics& diagnostics)
      : graph_(graph),
        options_(options),
        kernels_(kernels),
        diagnostics_(diagnostics),
        whole_(ir::Snapshot::of(graph)),
        position_(graph.node_capacity(), 0) {
    for (uint32_t i = 0; i < whole_.node_ids().size(); ++i) position_[whole_.node_ids()[i]] = i;
  }
  Result<Lowered> run();

 private:
  Result<std::string> kernel_of(ir::NodeId node) const;
  Result<std::map<ir::NodeId, std::string>> select_kernels(const Partition& partition) const;
  std::optional<program::Graph> original(const Claim& claim, const Compiled& compiled) const;
  Status add_claim(ProgramBuilder& builder, const Claim& claim, program::Model& model);

  const ir::Graph& graph_;
  const Options& options_;
  const kernels::KernelSet& kernels_;
  Diagnostics& diagnostics_;
  ir::Snapshot whole_;
  std::vector<uint32_t> position_;  // graph node -> node of the snapshot
  std::map<std::string, NamedData> named_;
};

Result<std::string> Lowering::kernel_of(ir::NodeId node) const {
  auto choice = kernels_.select(whole_.view(), position_[node], options_.isa);
  if (!choice) return fail(in(graph_.describe(node), std::move(choice).error()));
  return std::string(choice->kernel->name);
}

Result<std::map<ir::NodeId, std::string>> Lowering::select_kernels(const Partition& partition) const {
  std::vector<bool> claimed(graph_.node_capacity(), false);
  for (const Claim& claim : partition.claims)
    for (const ir::NodeId node : claim.nodes) claimed[node] = true;
  std::map<ir::NodeId, std::string> out;
  for (const ir::NodeId node : graph_.order()) {
    if (claimed[node]) continue;
    QUOIN_TRY(out[node], kernel_of(node));
  }
  return out;
}

// The claim as plain nodes, for machines where the delegate cannot run; none if kernels could not run it either.
std::optional<program::Graph> Lowering::original(const Claim& claim, const Compiled& compiled) const {
  ProgramBuilder builder(graph_);
  builder.set_inputs(compiled.inputs);
  for (const ir::NodeId node : claim.nodes) {
    if (const auto kernel = kernel_of(node); !kernel) {
      diagnostics_.warn(graph_.describe(node),
                        "the original of delegate " + claim.tag + " is not kept: " + kernel.error().text());
      return std::nullopt;
    }
    builder.add_node(node);
  }
  builder.set_outputs(compiled.outputs);
  program::Graph out = builder.take();
  plan_memory(out);
  return out;
}

Status Lowering::add_claim(ProgramBuilder& builder, const Claim& claim, program::Model& model) {
  QUOIN_TRY(Compiled compiled, compile(graph_, claim, options_, named_[claim.backend->name()]));
  if (options_.keep_original) compiled.delegate.original = original(claim, compiled);
  const auto index = static_cast<uint32_t>(model.delegates.size());
  builder.add_call(index, fmt::format("{}_{}", claim.backend->name(), index), compiled.inputs, compiled.outputs);
  model.delegates.push_back(std::move(compiled.delegate));
  return {};
}

Result<Lowered> Lowering::run() {
  QUOIN_TRY(const Partition parts, partition(graph_, options_));
  QUOIN_TRY(const auto kernel_names, select_kernels(parts));
  Lowered out;
  out.placement = place(graph_, parts, kernel_names);
  QUOIN_CHECK(report_fallback(out.placement, options_, diagnostics_));

  const auto steps = schedule(graph_, node_lists(parts.claims));
  if (!steps) return fail(Code::internal, "accepted claims depend on each other in a circle");
  out.model.name = graph_.name;
  ProgramBuilder builder(graph_);
  builder.set_inputs(graph_.inputs());
  for (const Step& step : *steps) {
    if (step.claim == ir::kNone) {
      builder.add_node(step.nodes[0]);
      continue;
    }
    QUOIN_CHECK(add_claim(builder, parts.claims[step.claim], out.model));
  }
  builder.set_outputs(graph_.outputs());
  out.model.graph = builder.take();
  plan_memory(out.model.graph);
  return out;
}

}  // namespace

Result<Lowered> lower(const ir::Graph& graph, const Options& options, const kernels::KernelSet& kernels,
                      const quoin_host&, Diagnostics& diagnostics) {
  ir::Graph live = graph;  // shares the constants' bytes; ids stay
  if (const size_t dead = live.erase_dead(); dead != 0)
    diagnostics.info(graph.name, fmt::format("{} nodes whose results nothing uses are left out", dead));
  return Lowering(live, options, kernels, diagnostics).run();
}

}  // namespace quoin::lower
