// Which rule decides about which layer.
#include "source/rules.hpp"

#include "support.hpp"

namespace quoin::source::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// encoder.0 and encoder.1 hold q and k each; table; head.
class Selecting : public Quantizing {
 protected:
  Selecting() {
    const auto ids = net_.input({3}, DType::s64, "ids");
    ir::ValueId x = net_.embedding(ids, "table", random({10, 16}, 1));
    for (const std::string block : {"encoder.0", "encoder.1"})
      for (const std::string part : {"q", "k"}) {
        std::string name = block + "." + part;
        x = net_.linear(x, name, random({16, 16}, 2), {}, {"encoder", block, name});
      }
    net_.returns({net_.linear(x, "head", random({8, 16}, 3))});
  }
  // Bits of table, the four layers of the encoder and the head; 0: float.
  std::vector<uint32_t> bits(std::vector<Rule> rules) {
    ir::Graph graph = net_.graph;
    std::vector<uint32_t> out;
    for (const ReportLine& line : must(quantize(graph, std::move(rules))).lines) out.push_back(line.bits);
    return out;
  }
  static LayerConfig table(uint32_t bits) {
    LayerConfig config = weights(bits, 16);
    config.target = Target::embedding;
    return config;
  }
  using Target = LayerConfig::Target;
  Net net_;
};

TEST_F(Selecting, ARuleWithoutSelectorsIsAboutEveryLayerOfItsKind) {
  EXPECT_THAT(bits({rule(weights(4, 16))}), ElementsAre(0, 4, 4, 4, 4, 4));
  EXPECT_THAT(bits({rule(table(2))}), ElementsAre(2, 0, 0, 0, 0, 0));
  EXPECT_THAT(bits({rule(table(8)), rule(weights(4, 16))}), ElementsAre(8, 4, 4, 4, 4, 4));
}

TEST_F(Selecting, TheMostSpecificRuleDecidesWhereverItStands) {
  const Rule all = rule(weights(2, 16)), encoder = rule(weights(3, 16), "encoder"),
             block = rule(weights(4, 16), "encoder.1"), glob = rule(weights(5, 16), "encoder.1.*"),
             expression = rule(weights(6, 16), "re:.*\\.k"), name = rule(weights(7, 16), "encoder.1.k");
  EXPECT_THAT(bits({all, encoder, block}), ElementsAre(0, 3, 3, 4, 4, 2));
  EXPECT_THAT(bits({block, encoder, all}), ElementsAre(0, 3, 3, 4, 4, 2));
  EXPECT_THAT(bits({expression, glob, all}), ElementsAre(0, 2, 6, 5, 5, 2));
  EXPECT_THAT(bits({name, expression, glob, encoder, all}), ElementsAre(0, 3, 6, 5, 7, 2));
}

TEST_F(Selecting, OfEqualRulesTheLaterDecides) {
  EXPECT_THAT(bits({rule(weights(4, 16), "head"), rule(weights(8, 16), "head")}), ElementsAre(0, 0, 0, 0, 0, 8));
}

TEST_F(Selecting, ARuleWithoutAConfigurationLeavesLayersInFloat) {
  const std::vector<Rule> rules{rule(weights(4, 16)), rule(table(4)), rule({}, "encoder.0"), rule({}, "table")};
  ir::Graph graph = net_.graph;
  const Report report = must(quantize(graph, rules));
  ASSERT_EQ(report.lines.size(), 6u);
  EXPECT_EQ(report.lines[0].reason, "left in float by the rule");
  EXPECT_EQ(report.lines[1].reason, "left in float by the rule");
  EXPECT_FALSE(report.lines[1].quantized);
  EXPECT_TRUE(report.lines[3].quantized);
  EXPECT_FALSE(weight_of(graph, "encoder.0.q").type.qparams);
}

TEST_F(Selecting, LayersThatNoRuleIsAboutSaySo) {
  ir::Graph graph = net_.graph;
  const Report report = must(quantize(graph, {rule(weights(4, 16), "head")}));
  EXPECT_EQ(report.lines[2].name, "encoder.0.k");
  EXPECT_EQ(report.lines[2].kind, "linear");
  EXPECT_EQ(report.lines[2].reason, "no rule is about it");
  EXPECT_EQ(report.lines[2].rule, "");
  EXPECT_EQ(report.lines[5].reason, "");
  EXPECT_EQ(report.lines[5].rule, "module head");
  EXPECT_THAT(report.text(), HasSubstr("encoder.0.k  float: no rule is about it\n"));
}

TEST_F(Selecting, ARuleThatMatchesNothingIsAnErrorWithTheNearestName) {
  const std::string before = ir::print(net_.graph);
  Rule wrong = rule(weights(4, 16), "encoder.1.kk");
  wrong.place.text = "r.yaml:7:5";
  const auto result = quantize(net_.graph, {rule(weights(8, 16)), wrong});
  EXPECT_TRUE(fails_with(result, Code::recipe, "r.yaml:7:5: the rule for module encoder.1.kk matches no linear layer"));
  EXPECT_THAT(result.error().hint, "did you mean \"encoder.1.k\"?");
  EXPECT_EQ(ir::print(net_.graph), before) << "nothing was quantized";
}

TEST_F(Selecting, ARuleForTheOtherKindOfLayerIsAnError) {
  const auto result = quantize(net_.graph, {rule(table(8), "head")});
  EXPECT_TRUE(fails_with(result, Code::recipe, "the rule for module head matches no embedding"));
  EXPECT_THAT(result.error().hint, HasSubstr("is of another kind"));
}

TEST_F(Selecting, MistakesInARuleNameItsPlace) {
  Rule expression = rule(weights(4, 16), "re:(unclosed"), config = rule(weights(9, 16), "head");
  expression.place.text = config.place.text = "r.yaml:3:9";
  EXPECT_TRUE(fails_with(quantize(net_.graph, {expression}), Code::recipe, "r.yaml:3:9"));
  EXPECT_TRUE(fails_with(quantize(net_.graph, {config}), Code::recipe, "r.yaml:3:9: 9 bits per weight"));
}

TEST_F(Selecting, RulesMayBeAddedInCode) {
  Int8DynActInt4WeightQuantizer quantizer({.group_size = 16});
  quantizer.set_module("head", std::nullopt).set_module("re:encoder\\..", weights(8, 0));
  const Report report = must(quantizer.quantize(net_.graph, {}, resources()));
  EXPECT_EQ(report.lines[1].bits, 8u);
  EXPECT_EQ(report.lines[1].group, 0);
  EXPECT_FALSE(report.lines[1].dynamic_activations);
  EXPECT_FALSE(report.lines[5].quantized);
}

TEST_F(Selecting, NodesCanBeSelectedWhereThereAreNoModules) {
  Net net;
  const auto first = net.node("aten.linear.default",
                              {net.input({2, 16}), net.graph.add_constant("w", random({16, 16}, 1))}, {}, "linear");
  const auto second =
      net.node("aten.linear.default", {first, net.graph.add_constant("w", random({16, 16}, 2))}, {}, "linear");
  net.returns({second});
  Rule by_node;
  by_node.node = "linear_1";
  by_node.config = weights(4, 16);
  const Report report = must(quantize(net.graph, {by_node}));
  EXPECT_EQ(report.lines[0].name, "linear");
  EXPECT_FALSE(report.lines[0].quantized);
  EXPECT_TRUE(report.lines[1].quantized);
}

}  // namespace
}  // namespace quoin::source::test
