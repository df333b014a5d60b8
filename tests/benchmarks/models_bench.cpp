// Whole models and programs on one thread and on two, with the operations per second that they achieve.
//   models_bench [--plugin FOLDER] PROGRAM|MODEL ... [--benchmark_repetitions=10 ...]
// Inputs are ones. The minimum over the repetitions is reported as a statistic of its own.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "flow/flow.hpp"
#include "lower/placement.hpp"

namespace quoin {
namespace {

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "error: " << result.error().text() << "\n";
  std::exit(1);
}

double smallest(const std::vector<double>& v) { return *std::ranges::min_element(v); }

uint64_t operations_of(const program::Model& model) {
  uint64_t macs = 0;
  for (const program::Node& node : model.methods[0].graph.nodes)
    if (!node.op.empty()) macs += static_cast<uint64_t>(lower::macs(model.methods[0].graph, node));
  for (const program::Delegate& delegate : model.delegates)
    for (const uint64_t own : delegate.macs) macs += own;
  return 2 * macs;
}

std::vector<Tensor> ones(const runtime::Executable& model) {
  std::vector<Tensor> out;
  for (const runtime::TensorSpec& spec : model.inputs()) {
    Tensor& tensor = out.emplace_back(spec.type.dtype, spec.type.shape);
    if (spec.type.dtype == DType::f32) std::ranges::fill(tensor.as<float>(), 1.0f);
    if (spec.type.dtype == DType::s64) std::ranges::fill(tensor.as<int64_t>(), 1);
    if (spec.type.dtype == DType::s32) std::ranges::fill(tensor.as<int32_t>(), 1);
  }
  return out;
}

void run(benchmark::State& state, const std::string& path, const std::vector<std::string>& plugins) {
  Diagnostics diagnostics;
  recipe::Recipe recipe = must(recipe::parse("", "", {}));
  recipe.run.threads = state.range(0);
  const auto context = must(flow::make_context(recipe, plugins, true, diagnostics));
  runtime::Executable model = must(flow::open_model(path, recipe, *context, diagnostics));
  const std::vector<Tensor> inputs = ones(model);
  for (auto _ : state) must(model.run(inputs));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(operations_of(model.model())));
}

}  // namespace
}  // namespace quoin

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::vector<std::string> plugins, models;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--plugin" && i + 1 < argc)
      plugins.emplace_back(argv[++i]);
    else
      models.emplace_back(argv[i]);
  }
  for (const std::string& model : models)
    benchmark::RegisterBenchmark(std::filesystem::path(model).filename().c_str(),
                                 [=](benchmark::State& state) { quoin::run(state, model, plugins); })
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(2)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond)
        ->ComputeStatistics("min", quoin::smallest);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
