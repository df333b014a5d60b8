// Which scale belongs to which element, checked against the definition element by element.
#include "ops/scale_layout.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace quoin {
namespace {

// Row-major number of the block that holds element `index`.
int64_t block_of(const Shape& shape, const Shape& block, int64_t index) {
  int64_t scale = 0, stride = 1;
  for (size_t d = shape.size(); d-- > 0; index /= shape[d]) {
    scale += index % shape[d] / block[d] * stride;
    stride *= shape[d] / block[d];
  }
  return scale;
}

struct Blocks {
  Shape shape, block;
};
class Layouts : public ::testing::TestWithParam<Blocks> {};

TEST_P(Layouts, FollowTheDefinition) {
  const Shape &shape = GetParam().shape, &block = GetParam().block;
  const auto layout = ScaleLayout::of_blocks(shape, block);
  ASSERT_TRUE(layout) << layout.error().text();
  int64_t count = 1;
  for (size_t d = 0; d < shape.size(); ++d) count *= shape[d] / block[d];
  EXPECT_EQ(layout->count(), count);
  for (int64_t i = 0; i < numel(shape); ++i) ASSERT_EQ((*layout)(i), block_of(shape, block, i)) << "element " << i;
  int64_t next = 1;
  layout->runs(1, numel(shape), [&](int64_t scale, int64_t first, int64_t size) {
    EXPECT_EQ(first, next);
    for (int64_t i = first; i < first + size; ++i) EXPECT_EQ(scale, block_of(shape, block, i)) << "element " << i;
    next = first + size;
  });
  EXPECT_EQ(next, numel(shape));
}

INSTANTIATE_TEST_SUITE_P(Blocks, Layouts,
                         ::testing::Values(Blocks{{4, 6, 8}, {4, 6, 8}}, Blocks{{4, 6, 8}, {1, 6, 8}},
                                           Blocks{{4, 6, 8}, {4, 1, 8}}, Blocks{{4, 6, 8}, {4, 6, 1}},
                                           Blocks{{4, 6, 8}, {1, 1, 4}}, Blocks{{4, 6, 8}, {1, 1, 8}},
                                           Blocks{{4, 6, 8}, {2, 3, 4}}, Blocks{{4, 6, 8}, {1, 1, 1}},
                                           Blocks{{4, 6, 8}, {2, 1, 2}}, Blocks{{3, 4, 2, 6}, {3, 2, 2, 3}},
                                           Blocks{{1, 6}, {1, 2}}, Blocks{{9}, {3}}));

QParams scheme(Scheme scheme, int32_t axis = -1, uint32_t group = 0, Shape block = {}) {
  QParams q;
  q.scheme = scheme;
  q.axis = axis;
  q.group = group;
  q.block = std::move(block);
  return q;
}

TEST(ScaleLayout, SchemesAreBlocks) {
  const Shape shape{4, 6, 8};
  EXPECT_EQ(*block_shape(scheme(Scheme::per_tensor), shape), shape);
  EXPECT_EQ(*block_shape(scheme(Scheme::per_channel, 1), shape), (Shape{4, 1, 8}));
  EXPECT_EQ(*block_shape(scheme(Scheme::per_group, -1, 2), shape), (Shape{1, 1, 2}));
  EXPECT_EQ(*block_shape(scheme(Scheme::per_token), shape), (Shape{1, 1, 8}));
  EXPECT_EQ(*block_shape(scheme(Scheme::per_block, -1, 0, {2, 3, 8}), shape), (Shape{2, 3, 8}));
}

TEST(ScaleLayout, EmptyTensorsAndScalarsHaveOneScalePerTensor) {
  EXPECT_EQ(ScaleLayout::of(scheme(Scheme::per_tensor), {0, 4})->count(), 1);
  EXPECT_EQ(ScaleLayout::of(scheme(Scheme::per_channel, 1), {0, 4})->count(), 4);
  EXPECT_EQ(ScaleLayout::of(scheme(Scheme::per_tensor), {})->count(), 1);
}

TEST(ScaleLayout, RefusesWhatDoesNotFit) {
  const auto why = [](const QParams& q, const Shape& shape) {
    const auto layout = ScaleLayout::of(q, shape);
    return layout ? "" : layout.error().text();
  };
  EXPECT_NE(why(scheme(Scheme::per_channel, 2), {4, 6}).find("channel axis 2 of a rank 2"), std::string::npos);
  EXPECT_NE(why(scheme(Scheme::per_group, -1, 4), {4, 6}).find("groups of 4 do not divide"), std::string::npos);
  EXPECT_NE(why(scheme(Scheme::per_group), {4, 6}).find("group size 0"), std::string::npos);
  EXPECT_NE(why(scheme(Scheme::per_block, -1, 0, {3, 6}), {4, 6}).find("blocks of 3 do not divide axis 0"),
            std::string::npos);
  EXPECT_NE(why(scheme(Scheme::per_block, -1, 0, {2}), {4, 6}).find("rank 1"), std::string::npos);
  EXPECT_NE(why(scheme(Scheme::per_token), {}).find("scalar"), std::string::npos);
}

TEST(ScaleLayout, ScalesAreCountedAndPositive) {
  QParams q = scheme(Scheme::per_block, -1, 0, {2, 3});
  q.scale = {1, 1, 1};
  EXPECT_NE(check_scales(q, {4, 6}).error().text().find("3 scales where 4 are needed"), std::string::npos);
  q.scale = {1, 1, 1, 0};
  EXPECT_NE(check_scales(q, {4, 6}).error().text().find("scale 3: 0"), std::string::npos);
  q.scale = {1, 1, 1, 1};
  EXPECT_TRUE(check_scales(q, {4, 6}));
  q.zero_point = {0};
  EXPECT_NE(check_scales(q, {4, 6}).error().text().find("1 zero points for 4 scales"), std::string::npos);
  EXPECT_TRUE(check_scales(scheme(Scheme::per_token), {4, 6})) << "chosen at run time";
}

// What plugins and programs hand over may hold anything.
TEST(ScaleLayout, TheStructOfThePluginBoundaryIsCheckedTheSameWay) {
  const std::vector<int64_t> shape = {4, 6};
  const std::vector<float> scales = {1, 2, 3, 4, 5, 6};
  const auto why = [&](uint32_t scheme, uint32_t count, const std::function<void(quoin_qparams&)>& change) {
    quoin_qparams q = view(QParams{});
    q.scheme = scheme;
    q.count = count;
    q.scale = scales.data();
    change(q);
    Fault fault;
    if (check_scales(q, shape, fault)) return std::string();
    EXPECT_EQ(fault.code(), Code::model);
    return std::string(fault.what());
  };
  const auto as_is = [](quoin_qparams&) {};
  const auto along = [](int32_t axis) { return [axis](quoin_qparams& q) { q.axis = axis; }; };
  EXPECT_EQ(why(QUOIN_PER_TENSOR, 1, as_is), "");
  EXPECT_EQ(why(QUOIN_PER_TENSOR, 2, as_is), "2 scales where 1 are needed");
  EXPECT_EQ(why(QUOIN_PER_CHANNEL, 4, along(0)), "");
  EXPECT_EQ(why(QUOIN_PER_CHANNEL, 6, along(1)), "");
  EXPECT_EQ(why(QUOIN_PER_CHANNEL, 6, along(-1)), "channel axis -1 of a rank 2 tensor");
  EXPECT_EQ(why(QUOIN_PER_TOKEN, 4, as_is), "");
  EXPECT_EQ(why(QUOIN_PER_TOKEN, 0, as_is), "") << "chosen at run time";
  EXPECT_EQ(why(QUOIN_PER_TENSOR, 0, as_is), "0 scales where 1 are needed");
  EXPECT_EQ(why(QUOIN_PER_GROUP, 4, [](quoin_qparams& q) { q.group = 6; }), "");
  EXPECT_EQ(why(QUOIN_PER_GROUP, 4, [](quoin_qparams& q) { q.group = 4; }),
            "groups of 4 do not divide the last axis of [4, 6]");
  EXPECT_EQ(why(QUOIN_PER_GROUP, 4, [](quoin_qparams& q) { q.group = UINT32_MAX; }),
            "groups of 4294967295 do not divide the last axis of [4, 6]");
  const std::vector<int64_t> block = {2, 2}, negative = {-2, 2};
  const auto blocks = [](const std::vector<int64_t>& of) {
    return [&of](quoin_qparams& q) {
      q.block = of.data();
      q.block_rank = of.size();
    };
  };
  EXPECT_EQ(why(QUOIN_PER_BLOCK, 6, blocks(block)), "");
  EXPECT_EQ(why(QUOIN_PER_BLOCK, 6, blocks(negative)), "blocks of -2 do not divide axis 0 of [4, 6]");
  EXPECT_EQ(why(QUOIN_PER_BLOCK, 6, as_is), "blocks of rank 0 for the shape [4, 6]");
  EXPECT_EQ(why(99, 1, as_is), "scheme 99 is not known");
  EXPECT_EQ(why(QUOIN_PER_TENSOR, 1, [](quoin_qparams& q) { q.qmin = q.qmax; }), "empty integer range 127..127");
}

}  // namespace
}  // namespace quoin
