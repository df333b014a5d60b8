// Whole models and programs on one thread and on two, with the operations per second that they achieve.
//
//   models_bench [--plugin FOLDER] [--benchmark_...] PROGRAM|MODEL ...
//
// Inputs are ones. Google Benchmark's own columns are means; min_ms and GOPS are of the fastest run.
#include <benchmark/benchmark.h>

#include <chrono>
#include <filesystem>
#include <limits>

#include "model_runs.hpp"

namespace quoin::bench {
namespace {

void run(benchmark::State& state, const std::string& path, const std::vector<std::string>& plugins) {
  Model model(path, plugins, static_cast<uint32_t>(state.range(0)));
  model.run();
  double fastest = std::numeric_limits<double>::infinity();  // seconds
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    model.run();
    fastest = std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  state.counters["min_ms"] = fastest * 1e3;
  state.counters["GOPS"] = static_cast<double>(model.operations()) / fastest * 1e-9;
}

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::vector<std::string> plugins, models;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--plugin" && i + 1 < argc)
      plugins.emplace_back(argv[++i]);
    else
      models.emplace_back(argv[i]);
  }
  if (models.empty()) {
    std::cerr << "usage: models_bench [--plugin FOLDER] [--benchmark_...] PROGRAM|MODEL ...\n";
    return 2;
  }
  for (const std::string& model : models)
    benchmark::RegisterBenchmark(std::filesystem::path(model).filename().c_str(),
                                 [=](benchmark::State& state) { run(state, model, plugins); })
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(2)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace quoin::bench

int main(int argc, char** argv) { return quoin::bench::main(argc, argv); }
