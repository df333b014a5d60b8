#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fake_plugin.hpp"
#include "lower/lower.hpp"
#include "program/file.hpp"

namespace quoin::lower {

inline Tensor floats(Shape shape, float value) {
  Tensor tensor(DType::f32, std::move(shape));
  for (float& v : tensor.as<float>()) v = value;
  return tensor;
}

// x -> linear 0 -> relu 1 -> exp 2 -> add(relu, exp) 3 -> y; a diamond after the relu.
class Lowering : public ::testing::Test {
 protected:
  void SetUp() override {
    graph.name = "diamond";
    x = graph.add_input("x", {DType::f32, {2, 3}, nullptr});
    const auto w = graph.add_constant("w", floats({4, 3}, 0.5f));
    const auto b = graph.add_constant("b", floats({4}, 1));
    linear = *graph.add_node("aten.linear.default", {x, w, b}, {}, "fc", {{{"net.fc", "Linear"}}, "", 11, {}});
    relu = *graph.add_node("aten.relu.default", {graph.output(linear)}, {}, "act", {{}, "", 12, {}});
    exp = *graph.add_node("aten.exp.default", {graph.output(relu)}, {}, "exp", {{}, "", 13, {}});
    add = *graph.add_node("aten.add.Tensor", {graph.output(relu), graph.output(exp)}, {}, "sum", {{}, "", 14, {}});
    graph.set_outputs({graph.output(add)});
  }
  Result<Lowered> run(const std::vector<quoin::testing::FakePlugin*>& plugins) {
    options.order.clear();
    for (auto* plugin : plugins) options.order.push_back(plugin->open(services.table()));
    return lower(graph, options, kernels, services.table(), diagnostics);
  }
  // What the diamond computes for kInput, two rows of three.
  static std::vector<float> expected() {
    std::vector<float> out;
    for (const float sum : {6.0f, -8.25f})
      for (int column = 0; column < 4; ++column) {
        const float relu = std::max(0.0f, 0.5f * sum + 1);
        out.push_back(relu + std::exp(relu));
      }
    return out;
  }
  static inline const std::vector<float> kInput = {1, 2, 3, -9, 0.5f, 0.25f};
  static std::string text(const Result<Lowered>& result) { return result ? "lowered" : result.error().text(); }

  ir::Graph graph;
  ir::ValueId x{};
  ir::NodeId linear{}, relu{}, exp{}, add{};
  host::Services services{host::Services::Options{}};
  kernels::KernelSet kernels;
  Options options;
  Diagnostics diagnostics;
  quoin::testing::FakePlugin fake, other{"other"};
};

}  // namespace quoin::lower
