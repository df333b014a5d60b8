// What further threads gain, measured while each of them has a whole core (whole_cores.hpp).
//
//   scaling_bench [--plugin FOLDER] [--threads N] [--rounds N] [--unpinned] PROGRAM|MODEL ...
//
// A round runs every model with one thread and with N, in alternation; the cores are looked at before and after. Only
// rounds with whole cores count for the figures in front; those of all rounds stand behind them. Inputs are ones.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "model_runs.hpp"
#include "whole_cores.hpp"

namespace quoin::bench {
namespace {

struct Options {
  uint32_t threads = 2, rounds = 200;
  bool pinned = true;
  std::vector<std::string> plugins, models;
};

struct Times {
  std::vector<double> one, many;  // seconds
};

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

std::string gain(const Times& times) {
  if (times.one.empty()) return "   -      - ";
  return fmt::format("{:5.2f} {:6.2f}", std::ranges::min(times.one) / std::ranges::min(times.many),
                     median(times.one) / median(times.many));
}

// A process's services on the same cores: one thread, and many.
struct Rival {
  std::string name;
  Model one, many;
  Times whole, all;
};

double timed(Model& model) {
  const auto begin = std::chrono::steady_clock::now();
  model.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void round(Rival& rival, WholeCores& cores) {
  const double before = cores.share();
  rival.many.run();  // the threads are awake, and the caches are this model's
  const double many = timed(rival.many);
  rival.one.run();
  const double one = timed(rival.one);
  const bool whole = std::min(before, cores.share()) >= WholeCores::kWhole;
  for (Times* times : {&rival.all, &rival.whole}) {
    if (times == &rival.whole && !whole) continue;
    times->one.push_back(one);
    times->many.push_back(many);
  }
}

uint32_t number(const char* text) {
  uint32_t value = 0;
  const char* end = text + std::char_traits<char>::length(text);
  if (std::from_chars(text, end, value).ptr != end || value == 0 || value > 1'000'000) {
    std::cerr << "error: not a number from 1 on: " << text << "\n";
    std::exit(2);
  }
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool takes = i + 1 < argc;
    if (word == "--plugin" && takes) {
      options.plugins.emplace_back(argv[++i]);
    } else if (word == "--threads" && takes) {
      options.threads = number(argv[++i]);
    } else if (word == "--rounds" && takes) {
      options.rounds = number(argv[++i]);
    } else if (word == "--unpinned") {
      options.pinned = false;
    } else {
      options.models.emplace_back(word);
    }
  }
  if (options.models.empty()) {
    std::cerr << "usage: scaling_bench [--plugin FOLDER] [--threads N] [--rounds N] [--unpinned] PROGRAM|MODEL ...\n";
    std::exit(2);
  }
  return options;
}

int main(const Options& options) {
  WholeCores cores(options.threads);
  std::vector<Rival> rivals;
  for (const std::string& path : options.models)
    rivals.push_back({std::filesystem::path(path).filename().string(),
                      Model(path, options.plugins, 1),
                      Model(path, options.plugins, options.threads),
                      {},
                      {}});
  if (options.pinned)
    for (Rival& rival : rivals) rival.many.pin();  // the caller with them
  for (uint32_t r = 0; r < options.rounds; ++r)
    for (Rival& rival : rivals) round(rival, cores);
  std::cout << fmt::format("times as fast with {} threads as with one, minimum and median\n", options.threads)
            << fmt::format("{:<28} {:>12} {:>14} {:>16}\n", "model", "whole cores", "all rounds", "rounds (whole)");
  for (const Rival& rival : rivals)
    std::cout << fmt::format("{:<28} {} {:>15} {:>9} ({})\n", rival.name, gain(rival.whole), gain(rival.all),
                             rival.all.one.size(), rival.whole.one.size());
  return 0;
}

}  // namespace
}  // namespace quoin::bench

int main(int argc, char** argv) { return quoin::bench::main(quoin::bench::parse(argc, argv)); }
