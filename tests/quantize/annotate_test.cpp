#include "fake_plugin.hpp"

namespace quoin::quantize {
namespace {

using test::abi_spec;
using test::FakePlugin;
using test::ok;
using test::op_at;
using test::str;
using Kind = Verdict::Kind;

// Annotates input and output of every relu it is asked about, skips neg with a reason, says nothing about others.
quoin_status relu_rule(const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
  for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
    if (request.node_config[i] == QUOIN_NONE) continue;
    if (op_at(request, i) == "aten.neg.default")
      annotator.skip(annotator.self, i, str("negation has no integer kernel"));
    if (op_at(request, i) != "aten.relu.default") continue;
    quoin_qspec spec = abi_spec();
    if (annotator.set(annotator.self, {i, 0, 0, 0}, &spec) != QUOIN_OK) continue;
    const quoin_place source{i, 0, 0, 0};
    spec.kind = QUOIN_SHARED;
    spec.sources = &source;
    spec.num_sources = 1;
    annotator.set(annotator.self, {i, 0, 1, 0}, &spec);
    annotator.match(annotator.self, &i, 1, str("relu"));
  }
  return QUOIN_OK;
}

class Annotate : public testing::Test {
 protected:
  Annotate() {
    const auto x = model_.input({4});
    relu_ = model_.add("aten.relu.default", {x}, {}, "relu", {{"body", "lib.Body"}});
    neg_ = model_.add("aten.neg.default", {model_.value(relu_)}, {}, "neg");
    exp_ = model_.add("aten.exp.default", {model_.value(neg_)}, {}, "exp");
    model_.graph.set_outputs({model_.value(exp_)});
  }
  Result<Annotations> run(const std::vector<Assignment>& assignments) {
    return annotate(model_.graph, assignments, model_.diagnostics);
  }
  static recipe::Rule rule(std::string op, std::optional<std::string> preset) {
    recipe::Rule out;
    out.op = std::move(op);
    out.preset = std::move(preset);
    out.place.text = "r.yaml:5:7";
    return out;
  }
  test::Model model_;
  ir::NodeId relu_, neg_, exp_;
};

TEST_F(Annotate, EveryNodeGetsAVerdictWithItsReason) {
  FakePlugin plugin(relu_rule);
  const Annotations found = ok(run({plugin.assign()}));
  ASSERT_EQ(found.verdicts.size(), 3u);
  const Verdict& relu = found.verdicts.at(relu_);
  EXPECT_EQ(relu.kind, Kind::quantized);
  EXPECT_EQ(relu.plugin, "fake");
  EXPECT_EQ(relu.preset, "int8");
  EXPECT_EQ(relu.rule, "relu");
  EXPECT_EQ(relu.module, "body");
  EXPECT_EQ(found.verdicts.at(neg_).kind, Kind::float_by_rule);
  EXPECT_EQ(found.verdicts.at(neg_).reason, "fake: negation has no integer kernel");
  EXPECT_EQ(found.verdicts.at(exp_).kind, Kind::no_rule);
  EXPECT_NE(found.verdicts.at(exp_).reason.find("aten.exp.default"), std::string::npos);
}
TEST_F(Annotate, SpecsArriveComplete) {
  FakePlugin plugin(relu_rule);
  const Annotations found = ok(run({plugin.assign()}));
  const Spec* input = found.find(test::in(relu_));
  const Spec* output = found.find(test::out(relu_));
  ASSERT_TRUE(input && output);
  EXPECT_EQ(input->kind, SpecKind::observed);
  EXPECT_EQ(input->qmin, -128);
  EXPECT_FALSE(input->default_range);
  EXPECT_EQ(output->kind, SpecKind::shared);
  EXPECT_EQ(output->sources, std::vector{test::in(relu_)});
}
TEST_F(Annotate, ANullPresetLeavesTheNodeInFloat) {
  FakePlugin plugin(relu_rule);
  const Annotations found = ok(run({plugin.assign({rule("aten.relu.default", std::nullopt)})}));
  EXPECT_TRUE(found.all().empty());
  EXPECT_EQ(found.verdicts.at(relu_).kind, Kind::float_by_recipe);
  EXPECT_EQ(found.verdicts.at(relu_).rule, "r.yaml:5:7");
  EXPECT_EQ(found.verdicts.at(relu_).reason, "fake: left in float by the rule r.yaml:5:7 (op aten.relu.default)");
}
TEST_F(Annotate, RulesChooseThePresetPerNode) {
  std::vector<std::string> presets;
  FakePlugin plugin([&](const quoin_quant_request& request, const quoin_annotator&, quoin_error&) {
    const auto* configs = static_cast<const quoin_quant_config*>(request.configs.data);
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      const quoin_str preset = configs[request.node_config[i]].preset;
      presets.emplace_back(preset.data, preset.size);
    }
    return QUOIN_OK;
  });
  ok(run({plugin.assign({rule("aten.neg.default", "dynamic")})}));
  EXPECT_EQ(presets, (std::vector<std::string>{"int8", "dynamic", "int8"}));
}
TEST_F(Annotate, ParametersComeWithDefaults) {
  int64_t depth = 0;
  uint32_t count = 0;
  FakePlugin plugin([&](const quoin_quant_request& request, const quoin_annotator&, quoin_error&) {
    const auto& config = *static_cast<const quoin_quant_config*>(request.configs.data);
    count = config.params.count;
    depth = *static_cast<const int64_t*>(static_cast<const quoin_param*>(config.params.data)->data);
    return QUOIN_OK;
  });
  ok(run({plugin.assign()}));
  EXPECT_EQ(depth, 8);
  EXPECT_EQ(count, 1u);  // mode has no default
  ok(run({plugin.assign({}, "int8", {{"depth", int64_t{4}}, {"mode", std::string("down")}})}));
  EXPECT_EQ(depth, 4);
  EXPECT_EQ(count, 2u);
}
TEST_F(Annotate, WrongPresetsAndParametersNameTheNearest) {
  FakePlugin plugin(relu_rule);
  const auto expect_error = [&](const Assignment& assignment, std::string_view text) {
    const auto found = run({assignment});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::recipe);
    EXPECT_TRUE(test::mentions(found.error(), text)) << found.error().text();
    EXPECT_TRUE(test::mentions(found.error(), "r.yaml")) << found.error().text();
  };
  expect_error(plugin.assign({}, "int9"), "int8");
  expect_error(plugin.assign({}, "int8", {{"dept", int64_t{4}}}), "depth");
  expect_error(plugin.assign({}, "int8", {{"depth", std::string("4")}}), "an integer");
  expect_error(plugin.assign({}, "int8", {{"depth", int64_t{9}}}), "outside 2 to 8");
  expect_error(plugin.assign({}, "int8", {{"mode", std::string("dwn")}}), "down");
  expect_error(plugin.assign({rule("aten.relu.default", "dynamc")}), "dynamic");
  expect_error(plugin.assign({rule("aten.rel.default", "dynamic")}), "aten.relu.default");
}
TEST_F(Annotate, TheFirstQuantizerOfANodeWins) {
  FakePlugin first(relu_rule, "first"),
      second(
          [](const auto&request, const auto&annotator, auto&error) {
            EXPECT_EQ(request.node_config[0], QUOIN_NONE);  // taken
            const quoin_qspec spec = abi_spec();
            EXPECT_EQ(annotator.set(annotator.self, {2, 0, 0, 0}, &spec), QUOIN_OK);
            return relu_rule(request, annotator, error);
          },
          "second");
  const Annotations found = ok(run({first.assign(), second.assign()}));
  EXPECT_EQ(found.verdicts.at(relu_).plugin, "first");
  EXPECT_EQ(found.verdicts.at(exp_).plugin, "second");
  EXPECT_TRUE(model_.diagnostics.notes().empty());
}
TEST_F(Annotate, RefusesIllegalSpecsAndSaysWhy) {
  const auto refused = [&](quoin_place place, quoin_qspec spec, std::string_view why) {
    test::Model fresh;
    FakePlugin plugin([&](const quoin_quant_request&, const quoin_annotator& annotator, quoin_error&) {
      EXPECT_EQ(annotator.set(annotator.self, place, &spec), QUOIN_INVALID) << why;
      return QUOIN_OK;
    });
    Diagnostics diagnostics;
    ok(annotate(model_.graph, {plugin.assign()}, diagnostics));
    ASSERT_EQ(diagnostics.notes().size(), 1u) << why;
    EXPECT_NE(diagnostics.notes()[0].text().find(why), std::string::npos) << diagnostics.notes()[0].text();
  };
  refused({9, 0, 0, 0}, abi_spec(), "does not exist");
  refused({0, 3, 0, 0}, abi_spec(), "has no input 3");
  refused({0, 0, 0, 0}, abi_spec(QUOIN_F16), "cannot hold");
  refused({0, 0, 0, 0}, abi_spec(QUOIN_S8, -128, 200), "must lie in");
  refused({0, 0, 0, 0}, abi_spec(QUOIN_S8, 3, 100), "hold 0");
  quoin_qspec spec = abi_spec();
  spec.scheme = QUOIN_PER_CHANNEL;
  spec.axis = 1;
  refused({0, 0, 0, 0}, spec, "channel axis 1");
  spec = abi_spec();
  spec.flags = QUOIN_DYNAMIC;
  refused({0, 0, 1, 0}, spec, "belong to inputs");
  spec = abi_spec();
  spec.kind = QUOIN_FIXED;
  refused({0, 0, 0, 0}, spec, "must be positive");
  spec.kind = QUOIN_SHARED;
  refused({0, 0, 0, 0}, spec, "no source places");
  spec.kind = 17;
  refused({0, 0, 0, 0}, spec, "kind 17");
}
TEST_F(Annotate, ReadsShorterStructsOfOlderPlugins) {
  FakePlugin plugin([&](const quoin_quant_request&, const quoin_annotator& annotator, quoin_error&) {
    quoin_qspec spec = abi_spec(QUOIN_U8, 0, 0);
    spec.eps = 5;  // beyond what the plugin says it wrote
    spec.struct_size = QUOIN_END_OF(quoin_qspec, observer);
    EXPECT_EQ(annotator.set(annotator.self, {0, 0, 0, 0}, &spec), QUOIN_OK);
    return QUOIN_OK;
  });
  const Annotations found = ok(run({plugin.assign()}));
  const Spec& spec = *found.find(test::in(relu_));
  EXPECT_EQ(spec.eps, 0);
  EXPECT_TRUE(spec.default_range);
  EXPECT_EQ(spec.qmax, 255);
}
TEST_F(Annotate, PassesThatPluginsAskForRunFirst) {
  const auto scaled = model_.add("aten.mul.Scalar", {model_.value(exp_)}, {{"other", 2.0}}, "scaled");
  model_.graph.set_outputs({model_.value(scaled)});
  bool seen = false;
  FakePlugin plugin([&](const quoin_quant_request& request, const quoin_annotator&, quoin_error&) {
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) seen |= op_at(request, i) == "aten.mul.Tensor";
    return QUOIN_OK;
  });
  plugin.want_passes({str("scalar-to-constant")});
  ok(run({plugin.assign()}));
  EXPECT_TRUE(seen);
  plugin.want_passes({str("no-such-pass")});
  const auto failed = run({plugin.assign()});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::plugin);
}
TEST_F(Annotate, PluginFailuresKeepTheirWords) {
  FakePlugin plugin([](const quoin_quant_request&, const quoin_annotator&, quoin_error& error) {
    constexpr std::string_view words = "no licence";
    std::copy(words.begin(), words.end(), error.message);
    error.message_size = words.size();
    return quoin_status{QUOIN_UNSUPPORTED};
  });
  const auto found = run({plugin.assign()});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::plugin);
  EXPECT_TRUE(test::mentions(found.error(), "no licence"));
}
TEST_F(Annotate, PluginsThatThrowCostAnError) {
  FakePlugin plugin([](const auto&, const auto&, auto&) -> quoin_status { throw std::runtime_error("oops"); });
  const auto found = run({plugin.assign()});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::plugin);
  EXPECT_TRUE(test::mentions(found.error(), "oops"));
}
TEST_F(Annotate, AnnotatingTwiceNamesTheFirst) {
  Annotations annotations;
  ok(annotations.set(model_.graph, test::in(relu_), test::activation(), "alpha"));
  const auto again = annotations.set(model_.graph, test::in(relu_), test::activation(), "beta");
  ASSERT_FALSE(again);
  EXPECT_TRUE(test::mentions(again.error(), "already annotated by alpha"));
  EXPECT_TRUE(test::mentions(again.error(), "module body"));
}

}  // namespace
}  // namespace quoin::quantize
