#include "ops/table/signature.hpp"

#include <gtest/gtest.h>
#include <quoin/numerics.hpp>

#include <algorithm>

namespace quoin::table {
namespace {

using Ints = std::vector<int64_t>;

TEST(Signature, ListsOperands) {
  const OpSchema schema = parse_signature("input, weight2, bias?");
  ASSERT_EQ(schema.inputs.size(), 3u);
  EXPECT_EQ(schema.inputs[0].name, "input");
  EXPECT_FALSE(schema.inputs[0].optional);
  EXPECT_EQ(schema.inputs[1].name, "weight2");
  EXPECT_EQ(schema.inputs[2].name, "bias");
  EXPECT_TRUE(schema.inputs[2].optional);
  EXPECT_FALSE(schema.variadic);
  EXPECT_TRUE(schema.attrs.empty());
  EXPECT_EQ(schema.outputs, 1u);
}

TEST(Signature, TheLastOperandMayRepeat) {
  const OpSchema cat = parse_signature("tensors...; dim: int");
  EXPECT_TRUE(cat.variadic);
  EXPECT_FALSE(cat.inputs[0].optional);
  const OpSchema index = parse_signature("self, indices?...");
  EXPECT_TRUE(index.variadic);
  ASSERT_EQ(index.inputs.size(), 2u);
  EXPECT_TRUE(index.inputs[1].optional);
}

TEST(Signature, OperandsAndResultsMayBeLeftOut) {
  EXPECT_TRUE(parse_signature("").inputs.empty());
  const OpSchema full = parse_signature("; size: int[]");
  EXPECT_TRUE(full.inputs.empty());
  EXPECT_EQ(full.attrs.size(), 1u);
  EXPECT_EQ(full.outputs, 1u);
}

TEST(Signature, CountsResults) {
  EXPECT_EQ(parse_signature("a -> b, c").outputs, 2u);
  EXPECT_EQ(parse_signature("a; n: int = -1 -> b, c, d").outputs, 3u);
}

TEST(Signature, KnowsEveryKind) {
  const OpSchema schema = parse_signature("; a: bool, b: int, c: float, d: str, e: int[], f: float[]");
  const std::vector<AttrKind> kinds{AttrKind::boolean, AttrKind::integer,  AttrKind::number,
                                    AttrKind::text,    AttrKind::integers, AttrKind::numbers};
  ASSERT_EQ(schema.attrs.size(), kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    EXPECT_EQ(schema.attrs[i].kind, kinds[i]) << i;
    EXPECT_FALSE(schema.attrs[i].fallback) << i;
    EXPECT_FALSE(schema.attrs[i].optional) << i;
    EXPECT_EQ(schema.attrs[i].length, 0u) << i;
    EXPECT_EQ(schema.attrs[i].like, "") << i;
  }
}

TEST(Signature, KnowsDefaultsOfEveryKind) {
  const OpSchema schema = parse_signature(
      "; yes: bool = true, no: bool = false, i: int = -128, e: float = 1e-5, n: float = -1, s: str = per_token, "
      "l: int[3] = 2");
  const std::vector<Attr> values{true, false, int64_t{-128}, 1e-5, -1.0, std::string("per_token"), Ints{2, 2, 2}};
  ASSERT_EQ(schema.attrs.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(schema.attrs[i].fallback, values[i]) << i;
  EXPECT_EQ(schema.attrs[6].length, 3u);
}

TEST(Signature, KnowsWhatMayBeAbsent) {
  const OpSchema schema = parse_signature("; dtype: str?, dim: int[]?, kernel: int[2], stride: int[2] = kernel");
  EXPECT_TRUE(schema.attrs[0].optional);
  EXPECT_TRUE(schema.attrs[1].optional);
  EXPECT_EQ(schema.attrs[2].length, 2u);
  EXPECT_EQ(schema.attrs[3].length, 2u);
  EXPECT_EQ(schema.attrs[3].like, "kernel");
  EXPECT_FALSE(schema.attrs[3].fallback);
}

TEST(Signature, BlanksDoNotMatter) {
  const OpSchema schema = parse_signature("  a ?,b ... ;c :int [ 2 ]= 1,d:str? ->e ,f  ");
  EXPECT_TRUE(schema.inputs[0].optional);
  EXPECT_TRUE(schema.variadic);
  EXPECT_EQ(schema.attrs[0].fallback, Attr(Ints{1, 1}));
  EXPECT_TRUE(schema.attrs[1].optional);
  EXPECT_EQ(schema.outputs, 2u);
}

TEST(SignatureDeathTest, MalformedOnesAbortAndShowThePlace) {
  for (const char* text : {",",
                           "a,",
                           "a b",
                           "a??",
                           "a..., b",
                           "1a",
                           "a;",
                           "a; b",
                           "a; b:",
                           "a; b: tensor",
                           "a; b: int[",
                           "a; b: int[2",
                           "a; b: int[c]",
                           "a; b: int[-1]",
                           "a; b: float[2]",
                           "a; b: bool[]",
                           "a; b: int =",
                           "a; b: int = x",
                           "a; b: int = 1.5",
                           "a; b: int = 1e300",
                           "a; b: int? = 1",
                           "a; b: bool = 1",
                           "a; b: str = ",
                           "a; b: int[] = 1",
                           "a; b: float[] = 1",
                           "a; b: int,",
                           "a; b: int; c: int",
                           "a ->",
                           "a -> b,",
                           "a -> b; c: int",
                           "a -> 2"})
    EXPECT_DEATH(parse_signature(text), "malformed signature: .*<here>") << text;
  EXPECT_DEATH(parse_signature("self; dim: integer = 2"), "malformed signature: self; dim: integer<here> = 2");
}

// Every row, which also parses all of them.
TEST(Signature, RowsAreConsistent) {
  for (const OpSchema& row : all_ops()) {
    for (size_t i = 0; i < row.attrs.size(); ++i) {
      const AttrSpec& spec = row.attrs[i];
      const auto same_name = [&](const AttrSpec& other) { return other.name == spec.name; };
      EXPECT_EQ(std::ranges::count_if(row.attrs, same_name), 1) << row.name << " " << spec.name;
      if (spec.like.empty()) continue;
      const auto source = [&](const AttrSpec& other) { return other.name == spec.like && other.kind == spec.kind; };
      EXPECT_TRUE(std::any_of(row.attrs.begin(), row.attrs.begin() + static_cast<ptrdiff_t>(i), source)) << row.name;
    }
    for (const Slot& slot : row.inputs)
      EXPECT_EQ(std::ranges::count(row.inputs, slot.name, &Slot::name), 1) << row.name << " " << slot.name;
  }
}

TEST(Signature, TheDefaultOfEpsIsTheReferences) {
  const auto& attrs = find_op("quoin.linear_dynamic.default")->attrs;
  const auto eps = std::ranges::find(attrs, "eps", &AttrSpec::name);
  ASSERT_NE(eps, attrs.end());
  EXPECT_EQ(eps->fallback, Attr(static_cast<double>(numerics::kDefaultEps)));
}

}  // namespace
}  // namespace quoin::table
