// What observers cost on top of the float forward: one process, rounds in alternation, ratios to the forward alone.
//
//   calibration_bench MODEL RECIPE [SAMPLES] [ROUNDS] [--set key=value ...]
//
// Times are CPU time; samples are read and preprocessed before the clock runs. Also prints the memory peak after the first and the last
// round: calibration must not grow.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>

#include "flow/calibrate.hpp"

namespace quoin {
namespace {

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "error: " << result.error().text() << "\n";
  std::exit(1);
}

class Preloaded final : public data::Dataset {
 public:
  Preloaded(const data::Dataset& from, size_t count) {
    for (size_t i = 0; i < std::min(count, from.size()); ++i) samples_.push_back(must(from.sample(i)));
  }
  size_t size() const override { return samples_.size(); }
  Result<data::Sample> sample(size_t index) const override { return samples_[index]; }
  std::string describe() const override { return "preloaded samples"; }
  uint64_t digest() const override { return 0; }

 private:
  std::vector<data::Sample> samples_;
};

// CPU time of all threads: other load on the machine does not count.
double seconds(const std::function<void()>& body) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double begin = now();
  body();
  return now() - begin;
}

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

struct Row {
  std::string observer;  // "": the forward alone
  std::vector<double> spent;
  double qparams = 0;  // seconds to choose all scales at the end, once per calibration
};

void run(Row& row, const flow::Annotated& annotated, const Preloaded& samples, flow::Context& context) {
  const quoin_host& host = context.services->table();
  if (row.observer.empty()) {
    auto interpreter = must(interpret::Interpreter::create(annotated.graph, context.kernels, host));
    row.spent.push_back(seconds([&] {
      for (size_t i = 0; i < samples.size(); ++i) must(interpreter.run(must(samples.sample(i)).inputs));
    }));
    return;
  }
  Diagnostics diagnostics;
  auto prepared = must(quantize::prepare(annotated.graph, annotated.annotations, {row.observer, {}}));
  row.spent.push_back(seconds([&] {
    must(quantize::calibrate(annotated.graph, prepared, &samples, context.kernels, host, nullptr, diagnostics).map([] {
      return 0;
    }));
  }));
  row.qparams = seconds([&] {
    for (const quantize::Group& group : prepared.groups)
      if (group.observer) must(group.observer->qparams());
  });
}

int benchmark(const std::string& model, const std::string& recipe_path, size_t count, size_t rounds,
              const std::vector<recipe::Override>& overrides) {
  Diagnostics diagnostics;
  const recipe::Recipe recipe = must(recipe::load(recipe_path, overrides));
  const auto context = must(flow::make_context(recipe, {}, false, diagnostics));
  const flow::Annotated annotated = must(flow::annotate(model, recipe, *context, diagnostics));
  std::vector<data::InputSpec> inputs;
  for (const ir::ValueId id : annotated.graph.inputs()) {
    const ir::Value& value = annotated.graph.value(id);
    inputs.push_back({value.name, value.type.dtype, value.type.shape});
  }
  const auto dataset = must(data::open_dataset(recipe.quantize.calibrate.data, inputs));
  const Preloaded samples(*dataset, count);
  std::vector<Row> rows;
  for (const char* name : {"", "minmax", "moving_average", "histogram", "mse", "percentile", "entropy"})
    rows.push_back({name, {}});
  long first_peak = 0;
  for (size_t round = 0; round < rounds; ++round) {
    for (Row& row : rows) run(row, annotated, samples, *context);
    if (round == 0) first_peak = peak_kib();
  }
  std::cout << fmt::format("{} samples, {} rounds, {} thread(s)\n{:<16}{:>10}{:>10}{:>12}{:>16}\n", samples.size(),
                           rounds, recipe.run.threads, "", "minimum", "median", "ms/sample", "scales, ms");
  std::vector<double> forward;
  for (Row& row : rows) {
    std::ranges::sort(row.spent);
    if (row.observer.empty()) forward = row.spent;
    const auto ratio = [&](size_t i) { return row.spent[i] / forward[i]; };
    std::cout << fmt::format("{:<16}{:>10.3f}{:>10.3f}{:>12.2f}{:>16.1f}\n",
                             row.observer.empty() ? "forward" : row.observer, ratio(0), ratio(rounds / 2),
                             1e3 * row.spent[0] / static_cast<double>(samples.size()), 1e3 * row.qparams);
  }
  std::cout << fmt::format("peak memory {} MiB after the first round, {} MiB after the last\n", first_peak / 1024,
                           peak_kib() / 1024);
  return 0;
}

}  // namespace
}  // namespace quoin

int main(int argc, char** argv) {
  std::vector<std::string> words;
  std::vector<quoin::recipe::Override> overrides;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word != "--set" || i + 1 == argc) {
      words.push_back(word);
      continue;
    }
    const std::string pair = argv[++i];
    const size_t equals = std::min(pair.find('='), pair.size() - 1);
    overrides.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
  }
  const auto number = [&](size_t i, size_t fallback) {
    return words.size() > i ? std::max<size_t>(1, std::strtoul(words[i].c_str(), nullptr, 10)) : fallback;
  };
  if (words.size() < 2) {
    std::cerr << "usage: calibration_bench MODEL RECIPE [SAMPLES] [ROUNDS] [--set key=value ...]\n";
    return 2;
  }
  return quoin::benchmark(words[0], words[1], number(2, 16), number(3, 7), overrides);
}
