// Several quantizers, filters, null presets and graph passes: who gets which node, and what is told about it.
#include "fake_plugin.hpp"
#include "quantize/quantizer_config.hpp"

namespace quoin::quantize {
namespace {

using test::abi_spec;
using test::FakePlugin;
using test::ok;
using test::op_at;
using test::str;
using Kind = Verdict::Kind;

// A quantizer that takes every node of `op` with `spec` on its first operand and its result.
FakePlugin::Annotate taker(std::string op, quoin_qspec spec = abi_spec()) {
  return [op, spec](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      if (request.node_config[i] == QUOIN_NONE || op_at(request, i) != op) continue;
      annotator.set(annotator.self, {i, 0, 0, 0}, &spec);
      annotator.set(annotator.self, {i, 0, 1, 0}, &spec);
      annotator.match(annotator.self, &i, 1, str("take"));
    }
    return quoin_status{QUOIN_OK};
  };
}

// x -> relu (module body) -> neg (module body) -> exp (module head)
class Composition : public testing::Test {
 protected:
  Composition() {
    const auto x = model_.input({4});
    relu_ = model_.add("aten.relu.default", {x}, {}, "relu", {{"body", "lib.Body"}});
    neg_ = model_.add("aten.neg.default", {model_.value(relu_)}, {}, "neg", {{"body", "lib.Body"}});
    exp_ = model_.add("aten.exp.default", {model_.value(neg_)}, {}, "exp", {{"head", "lib.Head"}});
    model_.graph.set_outputs({model_.value(exp_)});
  }
  Annotations run(const std::vector<Assignment>& assignments) {
    return ok(annotate(model_.graph, assignments, model_.diagnostics));
  }
  std::vector<std::string> warnings() const { return notes(Level::warning); }
  std::vector<std::string> notes(Level level) const {
    std::vector<std::string> out;
    for (const Note& note : model_.diagnostics.notes())
      if (note.level == level) out.push_back(note.text());
    return out;
  }
  static bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

  test::Model model_;
  ir::NodeId relu_, neg_, exp_;
};

TEST_F(Composition, VerdictsNameEveryQuantizerThatLeftANode) {
  FakePlugin first(
      [](const quoin_quant_request&, const quoin_annotator&annotator, quoin_error&) {
        annotator.skip(annotator.self, 2, str("no table for exp"));
        return quoin_status{QUOIN_OK};
      },
      "first"),
      second(taker("aten.relu.default"), "second");
  Assignment quiet = second.assign();
  quiet.config.rules.emplace_back().op = "aten.neg.default";
  quiet.config.rules[0].place.text = "r.yaml:5:7";
  const Annotations found = run({first.assign(), quiet});
  EXPECT_EQ(found.verdicts.at(relu_).plugin, "second");
  const Verdict& neg = found.verdicts.at(neg_);
  EXPECT_EQ(neg.kind, Kind::no_rule);
  EXPECT_EQ(neg.reason,
            "first: no rule for aten.neg.default; second: left in float by the rule r.yaml:5:7 (op aten.neg.default)");
  const Verdict& exp = found.verdicts.at(exp_);
  EXPECT_EQ(exp.kind, Kind::float_by_rule);
  EXPECT_EQ(exp.plugin, "first");
  EXPECT_EQ(exp.reason, "first: no table for exp; second: no rule for aten.exp.default");
}
TEST_F(Composition, ADifferentSpecOnATakenPlaceIsAConflict) {
  FakePlugin first(taker("aten.relu.default"), "first"),
      second(
          [](const quoin_quant_request&, const quoin_annotator&annotator, quoin_error&) {
            const quoin_qspec wider = abi_spec(QUOIN_S16, -32767, 32767);
            EXPECT_EQ(annotator.set(annotator.self, {0, 0, 1, 0}, &wider), QUOIN_INVALID);
            return quoin_status{QUOIN_OK};
          },
          "second");
  const Annotations found = run({first.assign(), second.assign()});
  EXPECT_EQ(found.find(test::out(relu_))->dtype, DType::s8);
  ASSERT_EQ(warnings().size(), 1u);
  for (const std::string_view part :
       {"first", "second", "output 0 of node relu", "s8 -128..127", "s16 -32767..32767", "module body"})
    EXPECT_TRUE(has(warnings()[0], part)) << part << " in " << warnings()[0];
  EXPECT_EQ(model_.diagnostics.strict().error().code, Code::strict);
}
TEST_F(Composition, AnEqualSpecOnATakenPlaceIsFine) {
  FakePlugin first(taker("aten.relu.default"), "first"),
      second(
          [](const quoin_quant_request&, const quoin_annotator&annotator, quoin_error&) {
            const quoin_qspec same = abi_spec();
            EXPECT_EQ(annotator.set(annotator.self, {0, 0, 1, 0}, &same), QUOIN_OK);
            return quoin_status{QUOIN_OK};
          },
          "second");
  const Annotations found = run({first.assign(), second.assign()});
  EXPECT_EQ(found.by(test::out(relu_)), "first");
  EXPECT_EQ(found.verdicts.at(relu_).plugin, "first");
  EXPECT_TRUE(warnings().empty());
}
TEST_F(Composition, NodesOfAnotherQuantizerAreRefusedByName) {
  FakePlugin first(taker("aten.relu.default"), "first"),
      second(
          [](const quoin_quant_request&, const quoin_annotator&annotator, quoin_error&) {
            const uint32_t relu = 0;
            annotator.match(annotator.self, &relu, 1, str("mine"));
            return quoin_status{QUOIN_OK};
          },
          "second");
  const Annotations found = run({first.assign(), second.assign()});
  EXPECT_EQ(found.verdicts.at(relu_).rule, "take");
  ASSERT_EQ(warnings().size(), 1u);
  EXPECT_TRUE(has(warnings()[0], "first has it")) << warnings()[0];
}
TEST_F(Composition, DifferentSpecsOnOneValueAreReportedAsRequantization) {
  FakePlugin first(taker("aten.relu.default"), "first"),
      second(taker("aten.neg.default", abi_spec(QUOIN_U8, 0, 255)), "second");
  run({first.assign(), second.assign()});
  const auto infos = notes(Level::info);
  ASSERT_EQ(infos.size(), 1u);
  for (const std::string_view part : {"input 0 of node neg", "requantized", "s8", "first", "u8", "second"})
    EXPECT_TRUE(has(infos[0], part)) << part << " in " << infos[0];
  EXPECT_TRUE(warnings().empty());
}
// Asks for `own` on the result of exp, and shares the operand of neg with the result of relu.
FakePlugin::Annotate sharer(quoin_qspec own) {
  return [own](const quoin_quant_request&, const quoin_annotator& annotator, quoin_error&) {
    annotator.set(annotator.self, {2, 0, 1, 0}, &own);
    quoin_qspec shared = abi_spec();
    const quoin_place source{0, 0, 1, 0};
    shared.kind = QUOIN_SHARED;
    shared.sources = &source;
    shared.num_sources = 1;
    annotator.set(annotator.self, {1, 0, 0, 0}, &shared);
    return quoin_status{QUOIN_OK};
  };
}
TEST_F(Composition, SharingThatMixesDifferentSpecsIsReported) {
  FakePlugin first(taker("aten.relu.default"), "first"), second(sharer(abi_spec(QUOIN_U8, 0, 255)), "second");
  run({first.assign(), second.assign()});
  ASSERT_EQ(warnings().size(), 1u);
  for (const std::string_view part : {"input 0 of node neg", "second shares", "output 0 of node relu", "first", "u8"})
    EXPECT_TRUE(has(warnings()[0], part)) << part << " in " << warnings()[0];
}
TEST_F(Composition, SharingBetweenEqualSpecsIsFine) {
  FakePlugin first(taker("aten.relu.default"), "first"), second(sharer(abi_spec()), "second");
  run({first.assign(), second.assign()});
  EXPECT_TRUE(warnings().empty());
}
TEST_F(Composition, OnePluginTwiceIsToldApartByItsPlace) {
  FakePlugin plugin(taker("aten.relu.default"), "cpu");
  Assignment a = plugin.assign(), b = plugin.assign();
  recipe::Selector body, head;
  body.module = "body";
  head.module = "head";
  a.config.include = {body};
  b.config.include = {head};
  b.config.place.text = "r.yaml:9:5";
  const Annotations found = run({a, b});
  EXPECT_EQ(found.verdicts.at(relu_).plugin, "cpu");
  EXPECT_TRUE(has(found.verdicts.at(exp_).reason, "cpu (r.yaml:9:5): no rule for aten.exp.default"))
      << found.verdicts.at(exp_).reason;
}

TEST_F(Composition, ANullGlobalPresetLeavesWhatNoRuleNames) {
  FakePlugin plugin(taker("aten.relu.default"));
  const auto all = [&](const QuantizerConfig& config) { return run({config.assign(plugin.open())}); };
  const Annotations nothing = all(QuantizerConfig("fake").set_global(std::nullopt));
  EXPECT_TRUE(nothing.all().empty());
  EXPECT_EQ(nothing.verdicts.at(relu_).kind, Kind::float_by_recipe);
  EXPECT_TRUE(has(nothing.verdicts.at(relu_).reason, "preset: null")) << nothing.verdicts.at(relu_).reason;
  const Annotations named = all(QuantizerConfig("fake").set_global(std::nullopt).set_module_name("body", "int8"));
  EXPECT_EQ(named.verdicts.at(relu_).kind, Kind::quantized);
  EXPECT_EQ(named.verdicts.at(exp_).kind, Kind::float_by_recipe);
}
TEST_F(Composition, ParametersOfANullPresetAreRefused) {
  FakePlugin plugin(taker("aten.relu.default"));
  const auto config = QuantizerConfig("fake").set_global(std::nullopt, {{"depth", int64_t{4}}});
  const auto found = annotate(model_.graph, {config.assign(plugin.open())}, model_.diagnostics);
  ASSERT_FALSE(found);
  EXPECT_TRUE(test::mentions(found.error(), "without a preset"));
}
TEST_F(Composition, TheBuilderMeansWhatARecipeMeans) {
  FakePlugin plugin(taker("aten.relu.default"));
  recipe::Selector excluded;
  excluded.node = "re:re.*";
  const auto config = QuantizerConfig("fake")
                          .set_global("int8")
                          .set_operator_type("aten.exp.default", std::nullopt)
                          .set_module_type("Head", "dynamic")
                          .set_node("neg", std::nullopt)
                          .exclude(excluded)
                          .set_filter([](const ir::Graph& g, ir::NodeId id) { return g.node(id).name != "exp"; });
  EXPECT_EQ(config.quantizer().rules.size(), 3u);
  const Annotations found = run({config.assign(plugin.open())});
  EXPECT_TRUE(has(found.verdicts.at(relu_).reason, "exclude (node re:re.*) at exclude 1"))
      << found.verdicts.at(relu_).reason;
  EXPECT_TRUE(has(found.verdicts.at(neg_).reason, "set_node(\"neg\")")) << found.verdicts.at(neg_).reason;
  EXPECT_TRUE(has(found.verdicts.at(exp_).reason, "filter function")) << found.verdicts.at(exp_).reason;
  const auto wrong = QuantizerConfig("fake").set_module_name("bdy", "int8");
  const auto failed = annotate(model_.graph, {wrong.assign(plugin.open())}, model_.diagnostics);
  ASSERT_FALSE(failed);
  EXPECT_TRUE(test::mentions(failed.error(), "set_module_name(\"bdy\")"));
  EXPECT_TRUE(test::mentions(failed.error(), "\"body\""));
}

// x -> mul.Scalar (module a) -> mul.Scalar (module b) -> hardswish (module c)
class PassesBefore : public testing::Test {
 protected:
  PassesBefore() {
    ir::ValueId x = model_.input({4});
    for (const char* name : {"a", "b"})
      x = model_.value(model_.add("aten.mul.Scalar", {x}, {{"other", 2.0}}, name, {{name, "lib.Scale"}}));
    model_.graph.set_outputs({model_.value(model_.add("aten.hardswish.default", {x}, {}, "c", {{"c", "lib.Act"}}))});
  }
  Result<Annotations> run(const QuantizerConfig& config, const FirstPasses& first = {}) {
    return annotate(model_.graph, {config.assign(plugin_.open())}, model_.diagnostics, first);
  }
  // Presets the plugin was asked with, by operator; "-": none.
  std::map<std::string, std::string> asked_;
  FakePlugin plugin_{[this](const quoin_quant_request& request, const quoin_annotator&, quoin_error&) {
    const auto* configs = static_cast<const quoin_quant_config*>(request.configs.data);
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      const uint32_t config = request.node_config[i];
      asked_[std::string(op_at(request, i))] =
          config == QUOIN_NONE ? "-" : std::string(configs[config].preset.data, configs[config].preset.size);
    }
    return quoin_status{QUOIN_OK};
  }};
  test::Model model_;
};

TEST_F(PassesBefore, RewriteOnlyNodesThatWillBeQuantized) {
  plugin_.want_passes({str("scalar-to-constant")});
  ok(run(QuantizerConfig("fake").set_module_name("b", std::nullopt)));
  EXPECT_EQ(test::ops(model_.graph), (std::vector<std::string>{"mul.Tensor", "mul.Scalar", "hardswish.default"}));
}
TEST_F(PassesBefore, RunInTheOrderOfTheRecipe) {
  const FirstPasses first{{}, {{"decompose-hardswish", {"r.yaml:2:13"}}}};
  ok(run(QuantizerConfig("fake"), first));
  EXPECT_EQ(test::count(model_.graph, "hardswish.default"), 0);
  EXPECT_EQ(test::count(model_.graph, "hardtanh.default"), 1);
}
TEST_F(PassesBefore, LeaveWhatNoQuantizerTakesAlone) {
  const FirstPasses first{{}, {{"decompose-hardswish", {}}}};
  recipe::Selector act;
  act.module_type = "Act";
  ok(run(QuantizerConfig("fake").exclude(act), first));
  EXPECT_EQ(test::count(model_.graph, "hardswish.default"), 1);
}
TEST_F(PassesBefore, RulesFollowAnOperatorIntoItsDecomposition) {
  const FirstPasses first{{}, {{"decompose-hardswish", {}}}};
  ok(run(QuantizerConfig("fake").set_operator_type("aten.hardswish.default", "dynamic"), first));
  EXPECT_EQ(asked_.at("aten.hardtanh.default"), "dynamic");
  EXPECT_EQ(asked_.at("aten.mul.Tensor"), "dynamic");
  EXPECT_EQ(asked_.at("aten.mul.Scalar"), "int8");
}
TEST_F(PassesBefore, UnknownNamesAreRecipeErrorsWithTheNearest) {
  const auto found = run(QuantizerConfig("fake"), {{}, {{"decompose-hardswisch", {"r.yaml:2:13"}}}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::recipe);
  EXPECT_TRUE(test::mentions(found.error(), "r.yaml:2:13"));
  EXPECT_TRUE(test::mentions(found.error(), "\"decompose-hardswish\"")) << found.error().text();
}
TEST_F(PassesBefore, ApplicationsAddTheirOwn) {
  FirstPasses first;
  std::vector<std::string> seen;
  ok(first.registry.add(
      {"look", "lists what may be rewritten", [&](ir::Graph& graph, const passes::NodeFilter& filter) {
         for (const ir::NodeId id : graph.order())
           if (passes::allowed(filter, graph, id)) seen.push_back(graph.node(id).name);
         return Status{};
       }}));
  first.names = {{"look", {}}};
  ok(run(QuantizerConfig("fake").set_node("a", std::nullopt), first));
  EXPECT_EQ(seen, (std::vector<std::string>{"b", "c"}));
}

}  // namespace
}  // namespace quoin::quantize
