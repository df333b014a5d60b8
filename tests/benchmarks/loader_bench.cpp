// What plugins cost before they work: minimum and median in milliseconds.
//   loader_bench QUOIN    the command of the same build tree; its folder of ten plugins comes with the benchmark
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/digest.hpp"
#include "host/registry.hpp"

namespace quoin::host {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPlugins = 10;
constexpr uintmax_t kBytes = 1u << 20;  // about what the cpu plugin has; zeros behind the library are hashed with it

void measure(const char* what, int rounds, const std::function<bool()>& body) {
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    if (!body()) {
      std::printf("%s failed\n", what);
      std::exit(1);
    }
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%-58s %8.3f %8.3f\n", what, times.front(), times[times.size() / 2]);
}

bool run(const std::vector<std::string>& command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 1;
  if (posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ) == 0) waitpid(child, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  return status == 0;
}

// A temporary folder, emptied and removed at the end.
struct Scratch {
  Scratch() { path = mkdtemp(pattern); }
  ~Scratch() { fs::remove_all(path); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  char pattern[32] = "/tmp/quoin_loader_XXXXXX";
  fs::path path;
};

int bench(const std::string& quoin) {
  const Scratch scratch;
  const fs::path folder = scratch.path / "plugins", cache = scratch.path / "cache";
  fs::create_directory(folder);
  for (size_t i = 0; i < kPlugins; ++i) {
    const fs::path plugin = folder / fmt::format("bench{}.so", i);
    fs::copy_file(fs::path(QUOIN_BENCH_FOLDER) / plugin.filename(), plugin);
    fs::resize_file(plugin, kBytes);
  }
  setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  const Services services({1, 0, {}});
  const std::string one = (folder / "bench0.so").string();
  const PluginFile file = PluginFile::open(one).value();
  const ProbeOptions trial{default_probe().helper, cache.string()}, fresh{default_probe().helper, {}};
  std::printf("%-58s %8s %8s\n", "ms", "minimum", "median");
  measure("manifest of one plugin", 1000, [&] { return read_manifest(one).has_value(); });
  measure("trial process", 50, [&] { return probe(file, services.table(), fresh).has_value(); });
  measure("trial remembered (the 1 MiB file is hashed)", 1000,
          [&] { return probe(file, services.table(), trial).has_value(); });
  measure("SHA-256 of 1 MiB", 100, [&] { return sha256(file).has_value(); });
  measure("load and unload", 200,
          [&] { return load_library(one, services.table()).and_then(unload_library).has_value(); });
  measure("`quoin --version`", 50, [&] { return run({quoin, "--version"}); });
  measure("`quoin plugin list`, 10 more plugins, never tried", 10, [&] {
    fs::remove_all(cache);
    return run({quoin, "plugin", "list", "--plugin", folder.string()});
  });
  measure("`quoin plugin list`, 10 more plugins, trials remembered", 50, [&] {
    return run({quoin, "plugin", "list", "--plugin", folder.string()});
  });
  measure("`quoin plugin list --json`, the same with digests", 50, [&] {
    return run({quoin, "plugin", "list", "--plugin", folder.string(), "--json"});
  });
  return 0;
}

}  // namespace
}  // namespace quoin::host

int main(int argc, char** argv) {
  if (argc == 2) return quoin::host::bench(argv[1]);
  std::fprintf(stderr, "usage: loader_bench QUOIN\n");
  return 2;
}
