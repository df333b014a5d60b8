#include "quantize/scope.hpp"

#include "support.hpp"

namespace quoin::quantize {
namespace {

using recipe::Pattern;
using recipe::Rule;
using recipe::Selector;
using test::ok;

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(recipe::glob_match("encoder.*", "encoder.layer.0"));
  EXPECT_TRUE(recipe::glob_match("*.attention.?", "layer.1.attention.q"));
  EXPECT_TRUE(recipe::glob_match("*", ""));
  EXPECT_TRUE(recipe::glob_match("a*b*c", "a__b_b__c"));
  EXPECT_FALSE(recipe::glob_match("encoder.*", "encoder"));
  EXPECT_FALSE(recipe::glob_match("encoder", "encoder.layer"));
  EXPECT_FALSE(recipe::glob_match("a?", "a"));
}
TEST(Glob, ManyStarsDoNotExplode) {
  EXPECT_FALSE(recipe::glob_match(std::string(60, '*') + "a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}
TEST(Pattern, ARegularExpressionMatchesTheWholeName) {
  const Pattern pattern = ok(Pattern::parse("re:encoder\\.[0-9]+"));
  EXPECT_TRUE(pattern.matches("encoder.12"));
  EXPECT_FALSE(pattern.matches("encoder.12.attention"));
  EXPECT_FALSE(pattern.matches("my_encoder.12"));
  EXPECT_EQ(pattern.kind(), Pattern::Kind::regex);
  EXPECT_EQ(ok(Pattern::parse("encoder.*")).kind(), Pattern::Kind::glob);
  EXPECT_EQ(ok(Pattern::parse("encoder.0")).kind(), Pattern::Kind::exact);
}
TEST(Pattern, HostileExpressionsEndSoon) {
  const Pattern nested = ok(Pattern::parse("re:((a*)*)*b"));
  EXPECT_FALSE(nested.matches(std::string(100000, 'a')));
  const Pattern wide = ok(Pattern::parse("re:(a|b)*a(a|b){200}"));
  EXPECT_FALSE(wide.matches(std::string(2000, 'b')));
  for (const std::string& text : {"re:" + std::string(100000, 'a'), std::string("re:(((a{100}){100}){100}){100}")}) {
    const auto refused = Pattern::parse(text);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::recipe);
  }
}

// encoder.0 (Block): relu; encoder.1 (Block): relu, neg; head (Linear): relu.
class Scopes : public testing::Test {
 protected:
  Scopes() {
    ir::ValueId x = model_.input({4});
    const auto add = [&](const char* op, const char* name, std::vector<ir::ModuleFrame> modules) {
      x = model_.value(model_.add(op, {x}, {}, name, std::move(modules)));
    };
    const ir::ModuleFrame encoder{"encoder", "torch.nn.Sequential"};
    add("aten.relu.default", "first", {encoder, {"encoder.0", "lib.Block"}});
    add("aten.relu.default", "second", {encoder, {"encoder.1", "lib.Block"}});
    add("aten.neg.default", "third", {encoder, {"encoder.1", "lib.Block"}});
    add("aten.relu.default", "fourth", {{"head", "torch.nn.Linear"}});
    model_.graph.set_outputs({x});
  }
  static recipe::Quantizer quantizer(std::vector<Rule> rules) {
    recipe::Quantizer out;
    out.rules = std::move(rules);
    return out;
  }
  // Index of the deciding rule per node in graph order; -1: the quantizer's preset; -2: withheld by a filter.
  std::vector<int> resolve(const recipe::Quantizer& config, NodeFilter filter = {}) {
    Scope scope = ok(Scope::of(config, std::move(filter)));
    scope.note(model_.graph);
    ok(scope.check_all_used(model_.graph));
    std::vector<int> out;
    for (const ir::NodeId id : model_.graph.order()) {
      const Choice choice = scope.choose(model_.graph, id);
      out.push_back(!choice.withheld.empty() ? -2 : choice.rule ? static_cast<int>(*choice.rule) : -1);
    }
    return out;
  }
  std::vector<int> resolve(std::vector<Rule> rules) { return resolve(quantizer(std::move(rules))); }
  // The error of a quantizer whose rule or filter is wrong.
  Error refused(const recipe::Quantizer& config) {
    auto scope = Scope::of(config);
    if (!scope) return scope.error();
    scope->note(model_.graph);
    const Status used = scope->check_all_used(model_.graph);
    EXPECT_FALSE(used);
    return used ? Error{} : used.error();
  }
  static Rule module(std::string text) {
    Rule rule;
    rule.module = std::move(text);
    return rule;
  }
  static Rule type(std::string text) {
    Rule rule;
    rule.module_type = std::move(text);
    return rule;
  }
  static Rule op(std::string text) {
    Rule rule;
    rule.op = std::move(text);
    return rule;
  }
  static Rule node(std::string text) {
    Rule rule;
    rule.node = std::move(text);
    return rule;
  }
  test::Model model_;
};

TEST_F(Scopes, WithoutRulesTheGlobalPresetDecides) {
  EXPECT_EQ(resolve(std::vector<Rule>{}), (std::vector{-1, -1, -1, -1}));
}
TEST_F(Scopes, AModuleCoversItsDescendants) {
  EXPECT_EQ(resolve({module("encoder")}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({module("encoder.1")}), (std::vector{-1, 0, 0, -1}));
  EXPECT_EQ(resolve({module("enc*")}), (std::vector{0, 0, 0, -1}));
}
TEST_F(Scopes, TypesMatchByFullNameOrLastPart) {
  EXPECT_EQ(resolve({type("lib.Block")}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({type("Linear")}), (std::vector{-1, -1, -1, 0}));
  EXPECT_TRUE(test::mentions(refused(quantizer({type("near")})), "matches no node"));
}
TEST_F(Scopes, EverySelectorTakesGlobsAndRegularExpressions) {
  EXPECT_EQ(resolve({module("*.1")}), (std::vector{-1, 0, 0, -1}));
  EXPECT_EQ(resolve({module("re:encoder\\.[1-9]")}), (std::vector{-1, 0, 0, -1}));
  EXPECT_EQ(resolve({type("B?ock")}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({type("re:torch\\.nn\\.(Linear|Conv2d)")}), (std::vector{-1, -1, -1, 0}));
  EXPECT_EQ(resolve({type("re:Lin.*")}), (std::vector{-1, -1, -1, 0}));
  EXPECT_EQ(resolve({op("aten.n*")}), (std::vector{-1, -1, 0, -1}));
  EXPECT_EQ(resolve({op("re:aten\\.(neg|abs)\\..*")}), (std::vector{-1, -1, 0, -1}));
  EXPECT_EQ(resolve({node("f*")}), (std::vector{0, -1, -1, 0}));
  EXPECT_EQ(resolve({node("re:second|third")}), (std::vector{-1, 0, 0, -1}));
}
TEST_F(Scopes, MostSpecificWinsWhateverTheOrder) {
  const std::vector<Rule> rules{node("second"), module("encoder"), type("Block"), op("aten.relu.default")};
  EXPECT_EQ(resolve(rules), (std::vector{1, 0, 1, 3}));
  EXPECT_EQ(resolve(std::vector<Rule>(rules.rbegin(), rules.rend())), (std::vector{2, 3, 2, 0}));
}
TEST_F(Scopes, OnOneModuleExactBeatsGlobBeatsRegex) {
  const std::vector<Rule> rules{module("encoder"), module("encode*"), module("re:encoder")};
  EXPECT_EQ(resolve(rules), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({rules[1], rules[2]}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({rules[2], rules[1]}), (std::vector{1, 1, 1, -1}));
  EXPECT_EQ(resolve({op("re:.*"), op("*"), op("aten.relu.default")}), (std::vector{2, 2, 1, 2}));
  EXPECT_EQ(resolve({node("re:.*"), node("*"), node("second")}), (std::vector{1, 2, 1, 1}));
}
TEST_F(Scopes, LongerLiteralPrefixBeatsShorter) {
  EXPECT_EQ(resolve({module("encoder*"), module("*")}), (std::vector{0, 0, 0, 1}));
  EXPECT_EQ(resolve({module("*"), module("encoder*")}), (std::vector{1, 1, 1, 0}));
  EXPECT_EQ(resolve({op("aten.r*"), op("aten.*")}), (std::vector{0, 0, 1, 0}));
}
TEST_F(Scopes, AnInnerModuleBeatsTheOneAroundIt) {
  const std::vector<Rule> rules{module("encoder"), module("*.1"), module("re:.*\\.0")};
  EXPECT_EQ(resolve(rules), (std::vector{2, 1, 1, -1}));
  EXPECT_EQ(resolve(std::vector<Rule>(rules.rbegin(), rules.rend())), (std::vector{0, 1, 1, -1}));
  EXPECT_EQ(resolve({type("Block"), type("Sequential")}), (std::vector{0, 0, 0, -1}));
}
TEST_F(Scopes, OfEqualRulesTheLaterWins) {
  EXPECT_EQ(resolve({module("head"), module("head")}), (std::vector{-1, -1, -1, 1}));
  EXPECT_EQ(resolve({op("re:aten.r.*"), op("re:.*relu.*")}), (std::vector{1, 1, -1, 1}));
}
TEST_F(Scopes, AllSelectorsOfARuleMustHold) {
  Rule rule = module("encoder");
  rule.op = "aten.neg.default";
  EXPECT_EQ(resolve({module("encoder"), rule}), (std::vector{0, 0, 1, -1}));
  EXPECT_EQ(resolve({rule, module("encoder")}), (std::vector{1, 1, 0, -1}));
}
TEST_F(Scopes, ARuleWithoutSelectorsIsTheWeakest) {
  EXPECT_EQ(resolve({op("aten.neg.default"), Rule{}}), (std::vector{1, 1, 0, 1}));
}
TEST_F(Scopes, FiltersStandAboveRules) {
  recipe::Quantizer config = quantizer({op("aten.relu.default")});
  config.include = {module("encoder")};
  EXPECT_EQ(resolve(config), (std::vector{0, 0, -1, -2}));
  config.exclude = {node("re:s.*")};
  EXPECT_EQ(resolve(config), (std::vector{0, -2, -1, -2}));
  config.include.push_back(type("Linear"));
  EXPECT_EQ(resolve(config), (std::vector{0, -2, -1, 0}));
}
TEST_F(Scopes, AFilterFunctionSeesTheNode) {
  const NodeFilter not_neg = [](const ir::Graph& graph, ir::NodeId id) {
    return graph.node(id).op() != "aten.neg.default";
  };
  EXPECT_EQ(resolve(quantizer({module("encoder")}), not_neg), (std::vector{0, 0, -2, -1}));
}
TEST_F(Scopes, FilterReasonsNameTheFilterAndItsPlace) {
  recipe::Quantizer config;
  Selector head;
  head.module = "head";
  head.place.text = "r.yaml:9:5";
  config.exclude = {head};
  const Scope scope = ok(Scope::of(config));
  const Choice choice = scope.choose(model_.graph, model_.graph.order().back());
  EXPECT_NE(choice.withheld.find("exclude (module head)"), std::string::npos) << choice.withheld;
  EXPECT_EQ(choice.place, "r.yaml:9:5");
  config = {};
  config.include = {head};
  const Choice outside = ok(Scope::of(config)).choose(model_.graph, model_.graph.order().front());
  EXPECT_NE(outside.withheld.find("include"), std::string::npos);
  EXPECT_EQ(outside.place, "r.yaml:9:5");
}
TEST_F(Scopes, ARuleWithoutEffectIsAnErrorWithTheNearestName) {
  for (const auto& [rule, nearest] : {std::pair{module("encodr"), "encoder"},
                                      {type("Blok"), "Block"},
                                      {op("aten.relu.defalt"), "aten.relu.default"},
                                      {node("fist"), "first"}}) {
    Rule placed = rule;
    placed.place.text = "r.yaml:7:3";
    recipe::Quantizer include, exclude;
    include.include = {placed};
    exclude.exclude = {placed};
    for (const recipe::Quantizer& config : {quantizer({placed}), include, exclude}) {
      const Error error = refused(config);
      EXPECT_EQ(error.code, Code::recipe);
      EXPECT_TRUE(test::mentions(error, nearest)) << error.text();
      EXPECT_TRUE(test::mentions(error, "r.yaml:7:3"));
    }
  }
}
TEST_F(Scopes, ARegularExpressionWithoutEffectSaysWhatItMustMatch) {
  const Error error = refused(quantizer({module("re:encod")}));
  EXPECT_TRUE(test::mentions(error, "must match a whole module path")) << error.text();
  EXPECT_TRUE(test::mentions(error, "\"encoder\"")) << error.text();
}
TEST_F(Scopes, SelectorsThatNeverMeetAreTold) {
  Rule rule = module("head");
  rule.op = "aten.neg.default";
  EXPECT_TRUE(test::mentions(refused(quantizer({rule})), "none fits them all"));
}
TEST_F(Scopes, WrongExpressionsCarryRe2sWordsAndThePlace) {
  Rule rule = op("re:aten.(relu");
  rule.place.text = "r.yaml:4:9";
  const Error error = refused(quantizer({rule}));
  EXPECT_EQ(error.code, Code::recipe);
  EXPECT_TRUE(test::mentions(error, "missing )")) << error.text();
  EXPECT_TRUE(test::mentions(error, "r.yaml:4:9"));
}
TEST_F(Scopes, FiltersWithoutSelectorsAreRefused) {
  recipe::Quantizer config;
  config.exclude.emplace_back();
  EXPECT_TRUE(test::mentions(refused(config), "without selectors"));
}
TEST_F(Scopes, ModelsWithoutModulesSayHowToSelect) {
  model_.clear();
  const auto x = model_.input({4});
  model_.graph.set_outputs({model_.value(model_.add("aten.relu.default", {x}))});
  EXPECT_TRUE(test::mentions(refused(quantizer({module("head")})), "select by node or op"));
}

// One node of every kind that quantizers treat specially, each in a module of its own: every kind of selector finds it.
TEST(ScopeOfOperators, EveryOperatorKindIsSelectedByEverySelector) {
  test::Model m;
  const auto image = m.input({1, 2, 4, 4}), rows = m.input({2, 3}, "rows");
  const auto kernel = m.constant(test::random_tensor({2, 2, 3, 3}, 1)),
             weight = m.constant(test::random_tensor({3, 3}, 2));
  const auto inside = [](const std::string& name) {
    return std::vector<ir::ModuleFrame>{{"net", "lib.Net"}, {"net." + name, "lib." + name}};
  };
  const Attrs same{{"padding", std::vector<int64_t>{1, 1}}}, window{{"kernel_size", std::vector<int64_t>{2, 2}}};
  m.add("aten.conv2d.default", {image, kernel, ir::kNone}, same, "n_conv", inside("Conv"));
  m.add("aten.linear.default", {rows, weight, ir::kNone}, {}, "n_linear", inside("Linear"));
  m.add("aten.add.Tensor", {image, image}, {}, "n_add", inside("Add"));
  m.add("aten.cat.default", {image, image}, {{"dim", int64_t{1}}}, "n_cat", inside("Cat"));
  m.add("aten.max_pool2d.default", {image}, window, "n_pool", inside("Pool"));
  m.add("aten.mean.dim", {image}, {{"dim", std::vector<int64_t>{2, 3}}}, "n_mean", inside("Mean"));
  m.add("aten.matmul.default", {rows, weight}, {}, "n_matmul", inside("MatMul"));
  m.add("aten.erf.default", {rows}, {}, "n_erf", inside("Erf"));
  for (const ir::NodeId wanted : m.graph.order()) {
    const ir::Node& node = m.graph.node(wanted);
    for (const bool regex : {false, true}) {
      const std::string start = regex ? "re:\\Q" : "", end = regex ? "\\E" : "";
      std::array<Selector, 4> selectors;
      selectors[0].node = start + node.name + end;
      selectors[1].op = start + node.op() + end;
      selectors[2].module = start + node.modules[1].path + end;
      selectors[3].module_type = start + node.modules[1].type + end;
      for (const Selector& selector : selectors) {
        const Selection selection = ok(Selection::of(selector));
        for (const ir::NodeId id : m.graph.order())
          EXPECT_EQ(selection.applies(m.graph, id), id == wanted)
              << selection.words() << " on " << m.graph.describe(id);
      }
    }
  }
}

}  // namespace
}  // namespace quoin::quantize
