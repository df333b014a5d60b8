// Group 9, shared by its two halves: delegates and single kernels.
#pragma once

#include "conform/compare.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {

// How close results must come. Without arithmetic on floats inside, integers may be off by the plugin's declared
// tolerance and floats (results of a dequantization) by as many steps. A node that computes on floats rounds its own
// way: floats within 1e-5 of the largest number that the nodes read or make, and what is quantized behind it one step
// more.
Tolerance tolerance_of(const Material& material, std::span<const ir::NodeId> nodes, ir::ValueId output, int steps);

// The instruction sets to test with: every tier at or below this machine's, and what the host allows.
std::vector<uint64_t> isa_tiers(uint64_t machine);

// One generated graph of the grid in one form, made on first use.
class GridMaterial {
 public:
  explicit GridMaterial(std::shared_ptr<Workbench> bench) : bench_(std::move(bench)) {}
  Workbench& bench() const { return *bench_; }
  // Errors: those of build() and make_material().
  Result<std::shared_ptr<const Material>> get(const Form& how, const GridPoint& point);

 private:
  std::shared_ptr<Workbench> bench_;
  std::map<std::string, Result<std::shared_ptr<const Material>>> made_;
};

// in_place.cpp: "" or the first node that has a kernel of a plugin and other results when they are written over an
// operand that they may be written over.
std::string compare_in_place(const Material& material, const kernels::KernelSet& set, const quoin_host& host);

// accuracy_kernels.cpp: one case per kernel of the plugin.
std::vector<Case> kernel_cases(const std::shared_ptr<GridMaterial>& materials, const quoin_plugin& table);

}  // namespace quoin::conform
