// A program, or a model in float, that benchmarks run: loaded by the flow, on threads of its own, with ones as inputs.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "flow/flow.hpp"
#include "lower/placement.hpp"
#include "program/length.hpp"

namespace quoin::bench {

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "error: " << result.error().text() << "\n";
  std::exit(1);
}

class Model {
 public:
  Model(const std::string& path, const std::vector<std::string>& plugins, uint32_t threads)
      : diagnostics_(std::make_unique<Diagnostics>()) {
    recipe::Recipe recipe = must(recipe::parse("", "", {}));
    recipe.run.threads = threads;
    context_ = must(flow::make_context(recipe, plugins, true, *diagnostics_));
    executable_ = std::make_unique<runtime::Executable>(must(flow::open_model(path, recipe, *context_, *diagnostics_)));
    for (const runtime::TensorSpec& spec : executable_->inputs()) {
      Tensor& tensor = inputs_.emplace_back(spec.type.dtype, spec.type.shape);
      if (spec.type.dtype == DType::f32) std::ranges::fill(tensor.as<float>(), 1.0f);
      if (spec.type.dtype == DType::s64) std::ranges::fill(tensor.as<int64_t>(), 1);
      if (spec.type.dtype == DType::s32) std::ranges::fill(tensor.as<int32_t>(), 1);
    }
  }
  void run() { must(executable_->run(inputs_)); }
  // Every thread to a core of its own, the caller's included.
  void pin() { context_->services->pin_threads(); }
  // Of one run; a multiply-add is two.
  uint64_t operations() const {
    const program::Model& model = executable_->model();
    uint64_t macs = 0;
    const program::Graph& graph = model.methods[0].graph;
    const int64_t longest = program::longest(graph);
    for (const program::Node& node : graph.nodes)
      if (!node.op.empty()) macs += static_cast<uint64_t>(lower::macs(graph, node, longest));
    for (const program::Delegate& delegate : model.delegates)
      for (const uint64_t own : delegate.macs) macs += own;
    return 2 * macs;
  }

 private:
  std::unique_ptr<Diagnostics> diagnostics_;  // what follows keeps pointers to what stands before it
  std::unique_ptr<flow::Context> context_;
  std::unique_ptr<runtime::Executable> executable_;
  std::vector<Tensor> inputs_;
};

}  // namespace quoin::bench
