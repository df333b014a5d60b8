// Graphs made by hand, annotated by the xnnpack plugin.
#pragma once

#include <gtest/gtest.h>

#include "plugin.hpp"
#include "quantize/annotation.hpp"

namespace quoin::parity {

using Kind = quantize::Verdict::Kind;

class XnnpackQuantizer : public testing::Test {
 protected:
  ir::ValueId input(Shape shape, const std::string& name = "x") {
    return graph.add_input(name, {DType::f32, std::move(shape), nullptr});
  }
  ir::ValueId constant(Shape shape, float element = 0.5f, const std::string& name = "w") {
    Tensor tensor(DType::f32, std::move(shape));
    for (float& x : tensor.as<float>()) x = element;
    return graph.add_constant(name, std::move(tensor));
  }
  ir::NodeId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {},
                 const std::string& module = {}) {
    ir::Provenance provenance;
    if (!module.empty()) provenance.modules = {{module, "test.Module"}};
    auto node = graph.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance));
    EXPECT_TRUE(node) << node.error().text();
    return *node;
  }
  ir::NodeId conv(ir::ValueId x, ir::ValueId w, const std::string& module = {}) {
    return add("aten.conv2d.default", {x, w}, {}, module);
  }
  ir::NodeId relu(ir::NodeId of, const std::string& module = {}) {
    return add("aten.relu.default", {graph.output(of)}, {}, module);
  }
  Result<quantize::Annotations> annotate(recipe::Quantizer config) {
    config.plugin = "xnnpack";
    QUOIN_TRY(auto backend, Plugin::get().open());
    return quantize::annotate(graph, {{backend, std::move(config)}}, notes);
  }
  quantize::Annotations annotated(const std::string& preset, bool compatible, std::vector<recipe::Rule> rules = {}) {
    auto found = annotate({"xnnpack", preset, {{"reference_compatible", compatible}}, std::move(rules), {"test"}});
    EXPECT_TRUE(found) << found.error().text();
    return found ? *std::move(found) : quantize::Annotations();
  }
  static recipe::Rule module_rule(const std::string& module, bool compatible) {
    recipe::Rule rule;
    rule.module = module;
    rule.preset = "int8-static";
    rule.params = {{"reference_compatible", compatible}, {"scope", std::string("module")}};
    return rule;
  }
  static bool quantized(const quantize::Annotations& found, ir::NodeId node) {
    return found.verdicts.at(node).kind == Kind::quantized;
  }
  // A defect: the node is quantized, and is not (with a reason) when the plugin shall be as the reference.
  void expect_quantized_unless_compatible(const std::string& preset, ir::NodeId node) {
    EXPECT_TRUE(quantized(annotated(preset, false), node));
    const auto as_reference = annotated(preset, true);
    EXPECT_FALSE(quantized(as_reference, node));
    EXPECT_NE(as_reference.verdicts.at(node).reason, "");
  }
  ir::Graph graph;
  Diagnostics notes;
};

}  // namespace quoin::parity
