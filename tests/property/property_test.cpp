// Random graphs through random configurations: what must hold after every stage, does.
//
//   QUOIN_PROPERTY_SEEDS=5000      that many seeds, from 0 on
//   QUOIN_PROPERTY_SEED=17         only this one
//   QUOIN_PROPERTY_GRAPH=g.txt     this graph instead of a random one; with QUOIN_PROPERTY_SEED for the configuration
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/file.hpp"
#include "conform/random_graph.hpp"
#include "ir/parse.hpp"
#include "ir/print.hpp"
#include "stages.hpp"

namespace quoin::property {
namespace {

constexpr uint32_t kSeeds = 1000;

std::optional<uint32_t> number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

std::vector<uint32_t> seeds() {
  if (const auto only = number("QUOIN_PROPERTY_SEED")) return {*only};
  std::vector<uint32_t> all(number("QUOIN_PROPERTY_SEEDS").value_or(kSeeds));
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// The graph of the environment variable, or a random one.
ir::Graph graph_for(Dice& dice) {
  const char* path = std::getenv("QUOIN_PROPERTY_GRAPH");
  if (path == nullptr || *path == '\0') return conform::random_graph(dice);
  const std::string text = quantize::test::ok(read_text(path));
  return quantize::test::ok(ir::parse(text, {path, {}}));
}

TEST(Property, EveryStageKeepsWhatItMust) {
  Configurations configurations;
  Statistics statistics;
  size_t failures = 0;
  for (const uint32_t seed : seeds()) {
    Dice shapes(seed), choices(seed + 0x9e3779b9u);
    const ir::Graph graph = graph_for(shapes);
    try {
      check_all_stages(graph, configurations, choices, statistics);
    } catch (const Broken& broken) {
      ADD_FAILURE() << "seed " << seed << ": " << broken.what() << "\n\nthe graph at that stage:\n"
                    << broken.graph << "\nthe graph at the start (a file for QUOIN_PROPERTY_GRAPH):\n"
                    << ir::print(graph, ir::Detail::complete);
      if (++failures == 5) break;
    } catch (const std::exception& error) {
      FAIL() << "seed " << seed << ": " << error.what();
    }
  }
  for (const auto& [what, count] : statistics.counts) std::cout << what << ": " << count << "\n";
  if (seeds().size() < kSeeds || failures > 0) return;
  for (const char* what : {"quantized by fake", "quantized by cpu", "quantized by xnnpack", "left in float",
                           "integer nodes", "programs compared with plugin cpu to the bit"})
    EXPECT_GT(statistics.counts[what], seeds().size() / 20) << what;
}

TEST(Property, TheSameSeedGivesTheSameGraph) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    Dice one(seed), other(seed);
    EXPECT_EQ(ir::print(conform::random_graph(one), ir::Detail::complete),
              ir::print(conform::random_graph(other), ir::Detail::complete));
  }
}

}  // namespace
}  // namespace quoin::property
