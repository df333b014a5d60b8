#include "import/dims.hpp"

#include "support.hpp"

namespace quoin::import::test {
namespace {

Result<int64_t> evaluate(const std::string& expression, const std::map<std::string, int64_t>& symbols = {}) {
  const Options options{symbols};
  Diagnostics diagnostics;
  Dims dims(options, diagnostics);
  for (const auto& [symbol, size] : symbols) EXPECT_TRUE(dims.bind(symbol, {}, "test").has_value());
  return dims.evaluate(expression);
}

TEST(SizeExpressions, FollowPythonsRules) {
  const std::map<std::string, int64_t> s{{"s0", 7}, {"s77", 3}};
  const std::vector<std::pair<std::string, int64_t>> cases{
      {"s0", 7},         {"2*s77 + 1", 7},       {"(s0 - 1)//2", 3},
      {"-s0//2", -4},    {"s77**2", 9},          {"-s77**2", -9},
      {"Mod(s0, 4)", 3}, {"FloorDiv(s0, 2)", 3}, {"Max(s0, s77, 5)", 7},
      {"Min(s0, 5)", 5}, {"CeilDiv(s0, 2)", 4},  {"PythonMod(-s0, 4)", 1},
      {"6*s77/2", 9},    {"s0 - s77 - 1", 3},    {"TruncToInt(s0)", 7}};
  for (const auto& [expression, expected] : cases) {
    const auto value = evaluate(expression, s);
    ASSERT_TRUE(value.has_value()) << expression << ": " << value.error().text();
    EXPECT_EQ(*value, expected) << expression;
  }
}

TEST(SizeExpressions, RefuseWhatHasNoValue) {
  EXPECT_EQ(evaluate("u0 + 1").error().code, Code::unsupported);
  EXPECT_EQ(evaluate("Foo(1, 2)").error().code, Code::unsupported);
  EXPECT_EQ(evaluate("7/2").error().code, Code::unsupported);
  EXPECT_EQ(evaluate("1//0").error().code, Code::model);
  EXPECT_EQ(evaluate("Mod(1, 0)").error().code, Code::model);
  EXPECT_EQ(evaluate("9223372036854775807 + 1").error().code, Code::model);
  EXPECT_EQ(evaluate("2**62*4").error().code, Code::model);
  for (const char* text : {"", "1 +", "(1", "1)", "1 2", "*3", "99999999999999999999", "Max(", "Max(1"})
    EXPECT_EQ(evaluate(text).error().code, Code::model) << text;
  EXPECT_EQ(evaluate(std::string(2000, '(')).error().code, Code::model);
  EXPECT_EQ(evaluate(std::string(2000, '-') + "1").error().code, Code::model);
  EXPECT_EQ(evaluate(std::string(5000, '1')).error().code, Code::limit);
}

TEST(FreeDims, BecomeOneWithANoteThatSaysHowToChoose) {
  const Options options;
  Diagnostics diagnostics;
  Dims dims(options, diagnostics);
  EXPECT_EQ(dims.bind("batch", {1, 16}, "input x, axis 0").value(), 1);
  EXPECT_EQ(dims.bind("batch", {1, 16}, "input y, axis 0").value(), 1);
  ASSERT_EQ(diagnostics.notes().size(), 1u);
  const Note note = diagnostics.notes()[0];
  EXPECT_EQ(note.level, Level::info);
  EXPECT_NE(note.text().find("1 to 16"), std::string::npos) << note.text();
  EXPECT_NE(note.text().find("dims: {batch: SIZE}"), std::string::npos) << note.text();
}

TEST(FreeDims, RespectTheirRange) {
  const Options options{{{"a", 20}, {"b", 4}}};
  Diagnostics diagnostics;
  Dims dims(options, diagnostics);
  EXPECT_EQ(dims.bind("a", {1, 16}, "input x, axis 0").error().code, Code::input);
  EXPECT_EQ(dims.bind("b", {1, 16}, "input x, axis 0").value(), 4);
  EXPECT_EQ(dims.bind("c", {16, 64}, "input x, axis 0").value(), 16) << "the least size if 1 is not allowed";
  EXPECT_EQ(dims.bind("d", {2, std::nullopt}, "input x, axis 0").value(), 1) << "torch writes 2 where 1 works";
}

}  // namespace
}  // namespace quoin::import::test
