#pragma once

#include <map>
#include <stdexcept>
#include <string>

#include "random_config.hpp"

namespace quoin::property {

// A property that does not hold. `graph` is the complete text of the graph that the stage worked on.
struct Broken : std::runtime_error {
  Broken(const std::string& stage, const std::string& what, std::string graph_text)
      : std::runtime_error(stage + ": " + what), graph(std::move(graph_text)) {}
  std::string graph;
};

// What the graphs so far went through: a property that never meets an integer node says nothing.
struct Statistics {
  std::map<std::string, size_t> counts;
  void add(const std::string& what, size_t count = 1) { counts[what] += count; }
};

// Takes the float graph from the clean-up to the program by a random configuration, and checks after each stage what
// must hold there. Throws Broken.
void check_all_stages(ir::Graph graph, Configurations& configurations, Dice& dice, Statistics& statistics);

}  // namespace quoin::property
