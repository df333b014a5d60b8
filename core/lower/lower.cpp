#include "lower/lower.hpp"

#include <deque>

#include "ir/dynamic.hpp"
#include "ir/snapshot.hpp"
#include "lower/build.hpp"
#include "lower/compile.hpp"
#include "lower/partition.hpp"
#include "lower/placement.hpp"
#include "lower/schedule.hpp"

namespace quoin::lower {
namespace {

// One method.
class Lowering {
 public:
  // `graph` has no dead nodes.
  Lowering(ir::Graph graph, const Options& options, const kernels::KernelSet& kernels, Diagnostics& diagnostics)
      : graph_(std::move(graph)),
        options_(options),
        kernels_(kernels),
        diagnostics_(diagnostics),
        whole_(ir::Snapshot::of(graph_)),
        position_(graph_.node_capacity(), 0) {
    for (uint32_t i = 0; i < whole_.node_ids().size(); ++i) position_[whole_.node_ids()[i]] = i;
  }
  Lowering(const Lowering&) = delete;
  Lowering& operator=(const Lowering&) = delete;

  // First: who takes which node.
  Result<std::vector<Placement>> place();
  // Then: compiles the claims and adds their delegates to `model`. `named`: of all methods.
  Result<program::Graph> build(NamedData& named, program::Model& model);

 private:
  Result<std::string> kernel_of(ir::NodeId node) const;
  Result<std::map<ir::NodeId, std::string>> select_kernels() const;
  std::optional<program::Graph> original(const Claim& claim, const Compiled& compiled) const;
  void report_states() const;
  Status add_claim(ProgramBuilder& builder, const Claim& claim, NamedData& named, program::Model& model) const;

  const ir::Graph graph_;
  const Options& options_;
  const kernels::KernelSet& kernels_;
  Diagnostics& diagnostics_;
  ir::Snapshot whole_;
  std::vector<uint32_t> position_;  // graph node -> node of the snapshot
  Partition parts_;
};

Result<std::string> Lowering::kernel_of(ir::NodeId node) const {
  auto choice = kernels_.select(whole_.view(), position_[node], options_.isa);
  if (!choice) return std::move(choice).failure().at("{}", graph_.describe(node));
  return std::string(choice->kernel->name);
}

Result<std::map<ir::NodeId, std::string>> Lowering::select_kernels() const {
  std::vector<bool> claimed(graph_.node_capacity(), false);
  for (const Claim& claim : parts_.claims)
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

Status Lowering::add_claim(ProgramBuilder& builder, const Claim& claim, NamedData& named, program::Model& model) const {
  QUOIN_TRY(Compiled compiled, compile(graph_, claim, options_, named));
  if (options_.keep_original) compiled.delegate.original = original(claim, compiled);
  const auto index = static_cast<uint32_t>(model.delegates.size());
  builder.add_call(index, fmt::format("{}_{}", claim.backend->name(), index), compiled.inputs, compiled.outputs);
  model.delegates.push_back(std::move(compiled.delegate));
  return {};
}

void Lowering::report_states() const {
  for (const ir::State& state : graph_.states)
    if (const std::string why = why_copied(graph_, state); !why.empty())
      diagnostics_.info("state " + state.name, "is copied in every run: " + why);
}

Result<std::vector<Placement>> Lowering::place() {
  QUOIN_TRY(parts_, partition(graph_, options_));
  QUOIN_TRY(const auto kernel_names, select_kernels());
  return lower::place(graph_, parts_, kernel_names);
}

Result<program::Graph> Lowering::build(NamedData& named, program::Model& model) {
  const auto steps = schedule(graph_, node_lists(parts_.claims));
  if (!steps) return fail(Code::internal, "accepted claims depend on each other in a circle");
  ProgramBuilder builder(graph_);
  builder.set_inputs(graph_.inputs());
  for (const Step& step : *steps) {
    if (step.claim == ir::kNone) {
      builder.add_node(step.nodes[0]);
      continue;
    }
    QUOIN_CHECK(add_claim(builder, parts_.claims[step.claim], named, model));
  }
  builder.set_outputs(graph_.outputs());
  builder.set_states();
  report_states();
  program::Graph out = builder.take();
  plan_memory(out);
  return out;
}

// Without dead nodes, and marked: whoever rewrote the graph need not have kept the marks of its values.
Result<ir::Graph> prepared(ir::Graph graph, Diagnostics& diagnostics) {
  if (const size_t dead = graph.erase_dead(); dead != 0)
    diagnostics.info(graph.name, fmt::format("{} nodes whose results nothing uses are left out", dead));
  QUOIN_CHECK(ir::mark_dynamic(graph));
  return graph;
}

}  // namespace

Result<Lowered> lower(std::span<const Method> methods, const Options& options, const kernels::KernelSet& kernels,
                      const quoin_host&, Diagnostics& diagnostics) {
  if (methods.empty()) return fail(Code::internal, "no methods to lower");
  const auto located = [&](const Method& method, Failure failure) {
    return methods.size() == 1 ? failure : std::move(failure).at("method {}", method.name);
  };
  Lowered out;
  out.model.name = methods[0].graph.name;
  std::deque<Lowering> stages;
  for (const Method& method : methods) {
    auto live = prepared(method.graph, diagnostics);  // shares the constants' bytes; ids stay
    if (!live) return located(method, std::move(live).failure());
    stages.emplace_back(*std::move(live), options, kernels, diagnostics);
    auto placed = stages.back().place();
    if (!placed) return located(method, std::move(placed).failure());
    for (Placement& row : *placed) {
      row.method = method.name;
      out.placement.push_back(std::move(row));
    }
  }
  QUOIN_CHECK(report_fallback(out.placement, options, diagnostics));
  NamedData named(options.spill);
  for (size_t i = 0; i < methods.size(); ++i) {
    auto graph = stages[i].build(named, out.model);
    if (!graph) return located(methods[i], std::move(graph).failure());
    out.model.methods.push_back({methods[i].name, *std::move(graph)});
  }
  return out;
}

Result<Lowered> lower(const ir::Graph& graph, const Options& options, const kernels::KernelSet& kernels,
                      const quoin_host& host, Diagnostics& diagnostics) {
  const Method only{program::kOnlyMethod, graph};
  return lower(std::span(&only, 1), options, kernels, host, diagnostics);
}

}  // namespace quoin::lower
