// The arenas of programs beside their lower bound, as rows of the table in docs/performance.md, "Memory".
//
//   arena_bench PROGRAM ...
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "lower/arena.hpp"
#include "program/file.hpp"

namespace quoin::lower {
namespace {

using program::Joining;

std::string excess(const Arena& arena, uint64_t bound) {
  if (bound == 0) return "+0 %";
  return fmt::format("+{:.3g} %", 100 * (static_cast<double>(arena.size) / static_cast<double>(bound) - 1));
}

std::string row(const std::string& name, const program::Graph& graph) {
  const auto begin = std::chrono::steady_clock::now();
  const auto all = program::storages(graph, Joining::all).all;
  const Arena planned = place(all);
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  const uint64_t apart = program::peak_live(program::storages(graph, Joining::views).all);
  const uint64_t bound = program::peak_live(all);
  std::string out = fmt::format("| {} | {} | {} | {} |", name, all.size(), apart, bound);
  for (const Strategy strategy : {Strategy::size, Strategy::area, Strategy::breadth, Strategy::first, Strategy::last})
    out += fmt::format(" {} |", excess(place(all, strategy), bound));
  return out + fmt::format(" {} | {:.2f} ms", excess(planned, bound), spent.count());
}

}  // namespace
}  // namespace quoin::lower

int main(int argc, char** argv) {
  std::cout << "| program | storages | bound, apart | bound, in place | largest first | area | breadth | first use "
               "| last use | planned | time\n";
  for (int i = 1; i < argc; ++i) {
    const auto model = quoin::program::read(argv[i]);
    if (!model) {
      std::cerr << model.error().text() << "\n";
      return 1;
    }
    for (const quoin::program::Method& method : model->methods)
      std::cout << quoin::lower::row(fmt::format("{} {}", argv[i], method.name), method.graph) << "\n";
  }
  return 0;
}
