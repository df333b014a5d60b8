#include "ops/schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace quoin {
namespace {

using Ints = std::vector<int64_t>;

std::string error_of(std::string_view op, Attrs attrs) {
  const auto done = complete_attrs(*find_op(op), std::move(attrs));
  return done ? "" : done.error().text();
}

TEST(OpTable, IsSortedAndFindsEveryRow) {
  const auto rows = all_ops();
  ASSERT_GT(rows.size(), 100u);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const OpSchema& row : rows) EXPECT_EQ(find_op(row.name), &row) << row.name;
  EXPECT_EQ(op_names().size(), rows.size());
}

TEST(OpTable, EveryRowIsComplete) {
  for (const OpSchema& row : all_ops()) {
    EXPECT_NE(row.infer, nullptr) << row.name;
    EXPECT_GE(row.outputs, 1u) << row.name;
    EXPECT_EQ(row.version, 1u) << row.name;
    for (const AttrSpec& spec : row.attrs) {
      const bool fits = !spec.fallback || static_cast<AttrKind>(spec.fallback->index()) == spec.kind;
      EXPECT_TRUE(fits) << row.name << " " << spec.name;
    }
  }
}

TEST(OpTable, UnknownNamesAreNotFound) {
  EXPECT_EQ(find_op("aten.conv2d"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
  EXPECT_EQ(find_op("zzz"), nullptr);
}

TEST(OpTable, TraitsSayWhatPassesMayAssume) {
  EXPECT_TRUE(find_op("aten.view.default")->traits.view);
  EXPECT_TRUE(find_op("aten.view.default")->traits.moves_data);
  EXPECT_TRUE(find_op("aten.permute.default")->traits.moves_data);
  EXPECT_FALSE(find_op("aten.permute.default")->traits.view);
  EXPECT_TRUE(find_op("aten.max_pool2d.default")->traits.moves_data);
  EXPECT_FALSE(find_op("aten.avg_pool2d.default")->traits.moves_data);
  EXPECT_TRUE(find_op("aten.relu.default")->traits.clamps);
  EXPECT_FALSE(find_op("aten.gelu.default")->traits.clamps);
  EXPECT_TRUE(find_op("aten.gelu.default")->traits.elementwise);
  EXPECT_FALSE(find_op("aten.softmax.int")->traits.elementwise);
}

TEST(CompleteAttrs, AddsDefaultsAndNormalisesLists) {
  const auto attrs = complete_attrs(*find_op("aten.conv2d.default"), {{"stride", Ints{2}}, {"padding", int64_t{1}}});
  ASSERT_TRUE(attrs) << attrs.error().text();
  EXPECT_EQ(get_ints(*attrs, "stride"), (Ints{2, 2}));
  EXPECT_EQ(get_ints(*attrs, "padding"), (Ints{1, 1}));
  EXPECT_EQ(get_ints(*attrs, "dilation"), (Ints{1, 1}));
  EXPECT_EQ(get_int(*attrs, "groups"), 1);
}

TEST(CompleteAttrs, PoolStrideDefaultsToTheKernel) {
  for (const Attrs& given :
       {Attrs{{"kernel_size", Ints{3, 2}}}, Attrs{{"kernel_size", Ints{3, 2}}, {"stride", Ints{}}}}) {
    const auto attrs = complete_attrs(*find_op("aten.max_pool2d.default"), given);
    ASSERT_TRUE(attrs) << attrs.error().text();
    EXPECT_EQ(get_ints(*attrs, "stride"), (Ints{3, 2}));
  }
}

TEST(CompleteAttrs, IsIdempotent) {
  const auto once = complete_attrs(*find_op("aten.avg_pool2d.default"), {{"kernel_size", int64_t{2}}});
  ASSERT_TRUE(once);
  const auto twice = complete_attrs(*find_op("aten.avg_pool2d.default"), *once);
  ASSERT_TRUE(twice);
  EXPECT_EQ(*once, *twice);
}

TEST(CompleteAttrs, WidensIntegersToNumbers) {
  const auto attrs = complete_attrs(*find_op("aten.add.Scalar"), {{"other", int64_t{3}}});
  ASSERT_TRUE(attrs) << attrs.error().text();
  EXPECT_EQ(get_number(*attrs, "other"), 3.0);
}

TEST(CompleteAttrs, LeavesOptionalAttributesAbsent) {
  const auto attrs = complete_attrs(*find_op("aten.clamp.default"), {{"min", 0.5}});
  ASSERT_TRUE(attrs) << attrs.error().text();
  EXPECT_TRUE(has(*attrs, "min"));
  EXPECT_FALSE(has(*attrs, "max"));
}

TEST(CompleteAttrs, NamesWhatIsWrong) {
  EXPECT_EQ(error_of("aten.conv2d.default", {{"strid", int64_t{1}}}),
            "aten.conv2d.default: unknown attribute strid = 1; did you mean \"stride\"?");
  EXPECT_EQ(error_of("aten.softmax.int", {}), "aten.softmax.int: required attribute dim (an integer) is missing");
  EXPECT_EQ(error_of("aten.softmax.int", {{"dim", 1.5}}),
            "aten.softmax.int: attribute dim must be an integer, found 1.5 (a number)");
  EXPECT_EQ(error_of("aten.conv2d.default", {{"stride", Ints{1, 1, 1}}}),
            "aten.conv2d.default: attribute stride must have 2 elements, found [1, 1, 1]");
  EXPECT_EQ(error_of("aten.conv2d.default", {{"stride", Ints{}}}),
            "aten.conv2d.default: attribute stride must have 2 elements, found []");
}

TEST(AttrText, PrintsEveryKind) {
  EXPECT_EQ(to_string(Attr(true)), "true");
  EXPECT_EQ(to_string(Attr(int64_t{-3})), "-3");
  EXPECT_EQ(to_string(Attr(0.5)), "0.5");
  EXPECT_EQ(to_string(Attr(std::string("f32"))), "\"f32\"");
  EXPECT_EQ(to_string(Attr(Ints{1, 2})), "[1, 2]");
}

}  // namespace
}  // namespace quoin
