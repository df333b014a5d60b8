// Operators that move elements: shapes, indices, creation; quantized operands keep or change their qparams.
#include "op_runner.hpp"

namespace quoin::test {
namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

Tensor counting(Shape shape) {
  Tensor out(DType::f32, std::move(shape));
  float next = 0;
  for (float& x : out.as<float>()) x = next++;
  return out;
}

TEST(Moving, Permutes) {
  const Tensor x = counting({2, 3, 2});
  EXPECT_EQ(elements<float>(Op("aten.permute.default").in(x).attr("dims", Ints{2, 0, 1}).run()),
            (Floats{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(elements<float>(Op("aten.transpose.int").in(x).attr("dim0", int64_t{0}).attr("dim1", int64_t{-1}).run()),
            (Floats{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}));
  EXPECT_EQ(elements<float>(Op("aten.t.default").in(counting({2, 3})).run()), (Floats{0, 3, 1, 4, 2, 5}));
}

TEST(Moving, SlicesAndSelects) {
  const Tensor x = counting({3, 4});
  EXPECT_EQ(elements<float>(Op("aten.slice.Tensor")
                                .in(x)
                                .attr("dim", int64_t{1})
                                .attr("start", int64_t{-3})
                                .attr("step", int64_t{2})
                                .run()),
            (Floats{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(elements<float>(Op("aten.select.int").in(x).attr("dim", int64_t{0}).attr("index", int64_t{-1}).run()),
            (Floats{8, 9, 10, 11}));
  EXPECT_EQ(Op("aten.slice.Tensor").in(x).attr("start", int64_t{3}).run().shape(), (Shape{0, 4}));
}

TEST(Moving, ExpandsAndRepeats) {
  const Tensor x = counting({2, 1});
  EXPECT_EQ(elements<float>(Op("aten.expand.default").in(x).attr("size", Ints{2, -1, 2}).run()),
            (Floats{0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(elements<float>(Op("aten.expand_as.default").in(x).in(counting({2, 3})).run()), (Floats{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(elements<float>(Op("aten.repeat.default").in(counting({2})).attr("repeats", Ints{2, 2}).run()),
            (Floats{0, 1, 0, 1, 0, 1, 0, 1}));
}

TEST(Moving, JoinsAlongADim) {
  const Tensor a = counting({2, 1}), b = counting({2, 2});
  EXPECT_EQ(elements<float>(Op("aten.cat.default").in(a).in(b).attr("dim", int64_t{1}).run()),
            (Floats{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(elements<float>(Op("aten.stack.default").in(a).in(a).attr("dim", int64_t{-1}).run()), (Floats{0, 0, 1, 1}));
  EXPECT_EQ(elements<float>(Op("aten.cat.default").in(tensor<int64_t>({1}, {3})).in(tensor<float>({1}, {0.5f})).run()),
            (Floats{3, 0.5f}));
}

TEST(Moving, PadsAndCrops) {
  const Tensor x = counting({2, 2});
  EXPECT_EQ(elements<float>(Op("aten.pad.default").in(x).attr("pad", Ints{1, 0, 0, 1}).attr("value", 9.0).run()),
            (Floats{9, 0, 1, 9, 2, 3, 9, 9, 9}));
  EXPECT_EQ(elements<float>(Op("aten.pad.default").in(x).attr("pad", Ints{-1, 1}).run()), (Floats{1, 0, 3, 0}));
}

TEST(Moving, ReshapesOfAnyType) {
  EXPECT_EQ(Op("aten.view.default").in(counting({2, 3})).attr("size", Ints{3, -1}).run().shape(), (Shape{3, 2}));
  EXPECT_EQ(
      elements<int64_t>(Op("aten.unsqueeze.default").in(tensor<int64_t>({2}, {4, 5})).attr("dim", int64_t{0}).run()),
      (Ints{4, 5}));
}

TEST(Indexing, PicksLines) {
  const Tensor table = counting({3, 2}), indices = tensor<int64_t>({2, 2}, {2, 0, -1, 1});
  EXPECT_EQ(elements<float>(Op("aten.embedding.default").in(table).in(indices).run()),
            (Floats{4, 5, 0, 1, 4, 5, 2, 3}));
  EXPECT_EQ(
      elements<float>(
          Op("aten.index_select.default").in(table).in(tensor<int32_t>({3}, {1, 0, 1})).attr("dim", int64_t{1}).run()),
      (Floats{1, 0, 1, 3, 2, 3, 5, 4, 5}));
  EXPECT_EQ(elements<float>(Op("aten.gather.default")
                                .in(table)
                                .in(tensor<int64_t>({2, 3}, {1, 0, 1, 0, 0, 1}))
                                .attr("dim", int64_t{1})
                                .run()),
            (Floats{1, 0, 1, 2, 2, 3}));
}

TEST(Indexing, FollowsAdvancedIndexing) {
  const Tensor x = counting({2, 3, 2});
  const Tensor rows = tensor<int64_t>({2, 1}, {0, 1}), columns = tensor<int64_t>({2}, {2, 0});
  EXPECT_EQ(elements<float>(Op("aten.index.Tensor").in(x).in(rows).in(columns).run()),
            (Floats{4, 5, 0, 1, 10, 11, 6, 7}));
  EXPECT_EQ(elements<float>(Op("aten.index.Tensor").in(x).absent().in(columns).run()),
            (Floats{4, 5, 0, 1, 10, 11, 6, 7}));
  EXPECT_EQ(elements<float>(Op("aten.index.Tensor")
                                .in(x)
                                .in(tensor<int64_t>({2}, {1, 0}))
                                .absent()
                                .in(tensor<int64_t>({2}, {1, 0}))
                                .run()),
            (Floats{7, 9, 11, 0, 2, 4}));
}

TEST(Indexing, RefusesPositionsOutsideTheDim) {
  EXPECT_NE(Op("aten.embedding.default")
                .in(counting({3, 2}))
                .in(tensor<int64_t>({1}, {3}))
                .error()
                .find("index 3 is out of range for a dim of 3"),
            std::string::npos);
  EXPECT_NE(Op("aten.index.Tensor").in(counting({3})).in(tensor<int64_t>({1}, {-4})).error().find("index -4"),
            std::string::npos);
}

TEST(Creation, FillsAndCounts) {
  EXPECT_EQ(elements<int64_t>(Op("aten.arange.start_step").attr("start", 1.0).attr("end", 8.0).attr("step", 3.0).run()),
            (Ints{1, 4, 7}));
  EXPECT_EQ(elements<float>(Op("aten.full.default").attr("size", Ints{2}).attr("fill_value", 0.5).run()),
            (Floats{0.5f, 0.5f}));
}

// -- quantized

TEST(QuantizedMoving, KeepsIntegersWithEqualQParams) {
  const auto q = per_tensor(DType::s8, 0.1f, 3);
  const Tensor x = tensor<int8_t>({2, 2}, {-128, 1, 2, 127});
  EXPECT_EQ(elements<int8_t>(Op("aten.t.default").in(x, q).out(q).run()), (std::vector<int8_t>{-128, 2, 1, 127}));
  EXPECT_EQ(elements<int8_t>(Op("aten.view.default").in(x, q).out(q).attr("size", Ints{4}).run()),
            (std::vector<int8_t>{-128, 1, 2, 127}));
  EXPECT_EQ(
      elements<int8_t>(
          Op("aten.max_pool2d.default").in(x.reshaped({1, 2, 2}), q).out(q).attr("kernel_size", Ints{2, 2}).run()),
      (std::vector<int8_t>{127}));
}

TEST(QuantizedMoving, PadsWithTheImageOfTheValue) {
  const auto q = per_tensor(DType::u8, 0.5f, 10);
  EXPECT_EQ(elements<uint8_t>(Op("aten.pad.default")
                                  .in(tensor<uint8_t>({1}, {7}), q)
                                  .out(q)
                                  .attr("pad", Ints{1, 1})
                                  .attr("value", 1.0)
                                  .run()),
            (std::vector<uint8_t>{12, 7, 12}));
}

TEST(QuantizedMoving, CatRescalesEachOperand) {
  const auto a = per_tensor(DType::s8, 0.1f, 0), b = per_tensor(DType::u8, 0.4f, 128),
             y = per_tensor(DType::s8, 0.2f, -10);
  const Tensor out = Op("aten.cat.default")
                         .in(tensor<int8_t>({3}, {1, 3, -100}), a)
                         .in(tensor<uint8_t>({2}, {130, 0}), b)
                         .out(y)
                         .run();
  // a: q * 0.5 rounded to even (0.5 -> 0, 1.5 -> 2, -50); b: (q - 128) * 2
  EXPECT_EQ(elements<int8_t>(out), (std::vector<int8_t>{-10, -8, -60, -6, -128}));
}

TEST(QuantizedMoving, TransposesPerChannelWeights) {
  const Tensor w = tensor<int8_t>({2, 2}, {1, 2, 3, 4});
  const Tensor out = Op("aten.t.default").in(w, per_channel(0, {0.5f, 2.0f})).out(per_channel(1, {0.5f, 2.0f})).run();
  EXPECT_EQ(elements<int8_t>(out), (std::vector<int8_t>{1, 3, 2, 4}));
}

TEST(QuantizedMoving, DequantizesForAFloatResult) {
  EXPECT_EQ(
      elements<float>(Op("aten.t.default").in(tensor<int8_t>({1, 2}, {4, -4}), per_tensor(DType::s8, 0.5f, 0)).run()),
      (Floats{2, -2}));
  const Tensor indices = tensor<int64_t>({1}, {1});
  EXPECT_EQ(elements<float>(Op("aten.embedding.default")
                                .in(tensor<int8_t>({2, 2}, {1, 2, 3, 4}), per_channel(0, {1.0f, 0.5f}))
                                .in(indices)
                                .run()),
            (Floats{1.5f, 2}));
}

}  // namespace
}  // namespace quoin::test
