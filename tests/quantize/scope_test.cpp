#include "quantize/scope.hpp"

#include "support.hpp"

namespace quoin::quantize {
namespace {

using recipe::Rule;
using test::ok;

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(glob_match("encoder.*", "encoder.layer.0"));
  EXPECT_TRUE(glob_match("*.attention.?", "layer.1.attention.q"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("a*b*c", "a__b_b__c"));
  EXPECT_FALSE(glob_match("encoder.*", "encoder"));
  EXPECT_FALSE(glob_match("encoder", "encoder.layer"));
  EXPECT_FALSE(glob_match("a?", "a"));
}
TEST(Glob, ManyStarsDoNotExplode) {
  EXPECT_FALSE(glob_match(std::string(60, '*') + "a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
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
  // Index of the deciding rule per node in graph order; -1: the global preset.
  std::vector<int> resolve(const std::vector<Rule>& rules) {
    const auto deciding = ok(resolve_scopes(model_.graph, rules));
    std::vector<int> out;
    for (const ir::NodeId id : model_.graph.order()) out.push_back(deciding[id] ? static_cast<int>(*deciding[id]) : -1);
    return out;
  }
  static Rule module(std::string glob) {
    Rule rule;
    rule.module = std::move(glob);
    return rule;
  }
  static Rule type(std::string name) {
    Rule rule;
    rule.module_type = std::move(name);
    return rule;
  }
  static Rule op(std::string name) {
    Rule rule;
    rule.op = std::move(name);
    return rule;
  }
  static Rule node(std::string name) {
    Rule rule;
    rule.node = std::move(name);
    return rule;
  }
  test::Model model_;
};

TEST_F(Scopes, WithoutRulesTheGlobalPresetDecides) { EXPECT_EQ(resolve({}), (std::vector{-1, -1, -1, -1})); }
TEST_F(Scopes, AModuleCoversItsDescendants) {
  EXPECT_EQ(resolve({module("encoder")}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({module("encoder.1")}), (std::vector{-1, 0, 0, -1}));
  EXPECT_EQ(resolve({module("enc*")}), (std::vector{0, 0, 0, -1}));
}
TEST_F(Scopes, TypesMatchByFullNameOrLastPart) {
  EXPECT_EQ(resolve({type("lib.Block")}), (std::vector{0, 0, 0, -1}));
  EXPECT_EQ(resolve({type("Linear")}), (std::vector{-1, -1, -1, 0}));
  EXPECT_FALSE(resolve_scopes(model_.graph, {type("near")}));
}
TEST_F(Scopes, MostSpecificWinsWhateverTheOrder) {
  const std::vector<Rule> rules{node("second"), module("encoder"), type("Block"), op("aten.relu.default")};
  EXPECT_EQ(resolve(rules), (std::vector{1, 0, 1, 3}));
  const std::vector<Rule> reversed(rules.rbegin(), rules.rend());
  EXPECT_EQ(resolve(reversed), (std::vector{2, 3, 2, 0}));
}
TEST_F(Scopes, LongerLiteralPrefixBeatsShorter) {
  EXPECT_EQ(resolve({module("encoder.1"), module("encoder*"), module("*")}), (std::vector{1, 0, 0, 2}));
}
TEST_F(Scopes, OfEqualRulesTheLaterWins) {
  EXPECT_EQ(resolve({module("head"), module("head")}), (std::vector{-1, -1, -1, 1}));
}
TEST_F(Scopes, AllSelectorsOfARuleMustHold) {
  Rule rule = module("encoder");
  rule.op = "aten.neg.default";
  EXPECT_EQ(resolve({module("encoder"), rule}), (std::vector{0, 0, 1, -1}));
  EXPECT_EQ(resolve({rule, module("encoder")}), (std::vector{1, 1, 0, -1}));
}
TEST_F(Scopes, ARuleWithoutEffectIsAnErrorWithTheNearestName) {
  for (const auto& [rule, nearest] : {std::pair{module("encodr"), "encoder"},
                                      {type("Blok"), "Block"},
                                      {op("aten.relu.defalt"), "aten.relu.default"},
                                      {node("fist"), "first"}}) {
    Rule placed = rule;
    placed.place.text = "r.yaml:7:3";
    const auto found = resolve_scopes(model_.graph, {placed});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::recipe);
    EXPECT_TRUE(test::mentions(found.error(), nearest)) << found.error().text();
    EXPECT_TRUE(test::mentions(found.error(), "r.yaml:7:3"));
  }
}

}  // namespace
}  // namespace quoin::quantize
