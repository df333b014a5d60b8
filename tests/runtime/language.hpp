// Graphs as those of language models, small enough to follow by hand.
#pragma once

#include "fixture.hpp"
#include "ir/dynamic.hpp"
#include "program/file.hpp"

namespace quoin::runtime {

inline constexpr int64_t kRows = 8;  // of the cache

// x f32 [T, 1, 2], positions s64 [T], state "keys" f32 [8, 1, 2]:
// keys = update 0 (keys, x, positions); y = neg 2 (attention 1 (x, keys, keys, positions)).
inline ir::Graph attention_graph(int64_t longest, bool dynamic) {
  ir::Graph graph;
  graph.name = "attention";
  const auto x = graph.add_input("x", {DType::f32, {longest, 1, 2}, nullptr});
  const auto positions = graph.add_input("positions", {DType::s64, {longest}, nullptr});
  const auto keys = graph.add_input("keys", {DType::f32, {kRows, 1, 2}, nullptr});
  const auto update = *graph.add_node("quoin.kv_update.default", {keys, x, positions}, {}, "update");
  const auto updated = graph.output(update);
  const auto attention =
      *graph.add_node("quoin.attention.default", {x, updated, updated, positions}, {{"scale", 0.5}}, "attention");
  const auto y = *graph.add_node("aten.neg.default", {graph.output(attention)}, {}, "y");
  graph.set_outputs({graph.output(y), updated});
  graph.states = {{"keys", 2, 1}};
  if (!dynamic) return graph;
  graph.value(x).dynamic = graph.value(positions).dynamic = 1;
  EXPECT_TRUE(ir::mark_dynamic(graph));
  return graph;
}

class Language : public Running {
 protected:
  // "prefill" of at most `chunk` tokens and "decode" of one.
  static std::vector<lower::Method> methods(int64_t chunk = 4) {
    return {{"prefill", attention_graph(chunk, true)}, {"decode", attention_graph(1, false)}};
  }
  program::Model lowered(const std::vector<lower::Method>& from,
                         const std::vector<quoin::testing::FakePlugin*>& plugins = {}) {
    options.order.clear();
    for (auto* plugin : plugins) options.order.push_back(plugin->open(services.table()));
    auto result = lower::lower(from, options, kernels, services.table(), diagnostics);
    EXPECT_TRUE(result) << text(result);
    return through_file(result->model);
  }
  // Tokens `first` .. `first + count - 1`.
  static std::vector<Tensor> tokens(int64_t first, int64_t count) {
    Tensor x(DType::f32, {count, 1, 2}), positions(DType::s64, {count});
    for (int64_t i = 0; i < count; ++i) {
      x.as<float>()[2 * i] = 0.25f * static_cast<float>(first + i);
      x.as<float>()[2 * i + 1] = 1.0f - 0.5f * static_cast<float>(first + i);
      positions.as<int64_t>()[i] = first + i;
    }
    return {x, positions};
  }
  // The outputs of all runs, one behind the other. Runs: method and how many tokens.
  static std::vector<float> generate(Executable& executable, const std::vector<std::pair<size_t, int64_t>>& runs) {
    std::vector<float> all;
    int64_t next = 0;
    for (const auto& [method, count] : runs) {
      const auto out = executable.run(method, tokens(next, count));
      EXPECT_TRUE(out) << out.error().text();
      if (!out) return all;
      EXPECT_EQ(out->size(), 1u) << "states are not returned";
      EXPECT_EQ((*out)[0].shape(), (Shape{count, 1, 2}));
      const auto values = (*out)[0].as<float>();
      all.insert(all.end(), values.begin(), values.end());
      next += count;
    }
    return all;
  }
  // What one run over all tokens gives.
  std::vector<float> at_once(int64_t count) {
    auto executable = load(lowered({{"all", attention_graph(count, false)}}));
    EXPECT_TRUE(executable) << why(executable);
    return generate(*executable, {{0, count}});
  }
};

}  // namespace quoin::runtime
