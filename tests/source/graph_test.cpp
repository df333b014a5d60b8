// Quantizing the layers of graphs: what takes their place, and what is reported.
#include <cmath>

#include "ir/verify.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

LayerConfig with_policy(Uneven uneven, bool dynamic) {
  LayerConfig config = weights(4, 32);
  config.uneven = uneven;
  config.dynamic_activations = dynamic;
  return config;
}

class Graphs : public Quantizing {
 protected:
  // first [40 -> 24], gelu, second [24 -> 8] with a bias
  Graphs() {
    const auto x = net_.input({6, 40});
    const auto hidden = net_.node("aten.gelu.default", {net_.linear(x, "first", first_)});
    net_.returns({net_.linear(hidden, "second", second_, bias_)});
  }
  const Tensor first_ = random({24, 40}, 1), second_ = random({8, 24}, 2), bias_ = random({8}, 3);
  Net net_;
};

TEST_F(Graphs, LayersStayWhereTheyAre) {
  const Report report = must(quantize(net_.graph, {rule(with_policy(Uneven::pad, true))}));
  const ir::Node& node = net_.graph.node(find(net_.graph, "first"));
  EXPECT_EQ(node.op(), "quoin.linear_dynamic.default");
  EXPECT_EQ(node.module_path(), "first");
  EXPECT_EQ(weight_of(net_.graph, "first").name, "first.weight");
  EXPECT_EQ(report.lines[0].node, "first");
  EXPECT_TRUE(report.lines[0].dynamic_activations);
  EXPECT_TRUE(ir::verify(net_.graph));
}

TEST_F(Graphs, WeightOnlyLayersKeepTheirOperatorAndComputeWithTheRoundedWeight) {
  must(quantize(net_.graph, {rule(with_policy(Uneven::pad, false), "second")}));
  EXPECT_EQ(net_.graph.node(find(net_.graph, "second")).op(), "aten.linear.default");
  const auto weight = quantized_weight(net_.graph, "second");
  const Tensor x = random({6, 40}, 9);
  Net plain;
  const auto in = plain.input({6, 40});
  const auto rounded = reals(weight);
  Tensor narrow(DType::f32, {8, 24});
  for (size_t i = 0; i < 8 * 24; ++i) narrow.as<float>()[i] = rounded[i / 24 * 32 + i % 24];
  plain.returns(
      {plain.linear(plain.node("aten.gelu.default", {plain.linear(in, "first", first_)}), "second", narrow, bias_)});
  EXPECT_LT(nn::test::difference(run(net_.graph, {x})[0], run(plain.graph, {x})[0]), 1e-5f);
}

TEST_F(Graphs, UnevenRowsArePadded) {
  for (const bool dynamic : {false, true}) {
    ir::Graph graph = net_.graph;
    const Report report = must(quantize(graph, {rule(with_policy(Uneven::pad, dynamic))}));
    EXPECT_THAT(report.lines, SizeIs(2));
    EXPECT_EQ(report.lines[0].padding, 24);
    EXPECT_EQ(report.lines[0].group, 32);
    EXPECT_EQ(report.lines[0].reason, "groups of 32 do not divide rows of 40: padded with zeros to 64");
    EXPECT_EQ(weight_of(graph, "first").type.shape, (Shape{24, 64}));
    const Tensor x = random({6, 40}, 9);
    const Tensor found = run(graph, {x})[0], exact = run(net_.graph, {x})[0];
    EXPECT_LT(squared_distance(found.as<float>(), exact.as<float>()),
              0.05 * squared_distance(exact.as<float>(), std::vector<float>(48)));
  }
  EXPECT_THAT(notes(Level::info), SizeIs(4)) << "padding is told, layer by layer";
  EXPECT_THAT(notes(Level::info)[0], AllOf(HasSubstr("node first"), HasSubstr("padded with zeros to 64")));
  EXPECT_THAT(notes(Level::warning), IsEmpty());
}

TEST_F(Graphs, UnevenRowsGetSmallerGroups) {
  const Report report = must(quantize(net_.graph, {rule(with_policy(Uneven::smaller_group, false))}));
  EXPECT_EQ(report.lines[0].group, 20);
  EXPECT_EQ(report.lines[1].group, 24);
  EXPECT_EQ(report.lines[0].padding, 0);
  EXPECT_EQ(report.lines[0].reason, "groups of 32 do not divide rows of 40: groups of 20 instead");
  EXPECT_THAT(report.text(), HasSubstr("groups of 20 instead"));
  EXPECT_THAT(notes(Level::info), SizeIs(2));
}

TEST_F(Graphs, UnevenRowsStayInFloatOrAreRefused) {
  const Report report = must(quantize(net_.graph, {rule(with_policy(Uneven::leave_float, false))}));
  EXPECT_FALSE(report.lines[0].quantized);
  EXPECT_EQ(report.lines[0].reason, "groups of 32 do not divide rows of 40: left in float");
  EXPECT_THAT(notes(Level::info), SizeIs(2));
  const auto refused = quantize(net_.graph, {rule(with_policy(Uneven::error, false))});
  EXPECT_TRUE(fails_with(refused, Code::input, "groups of 32 do not divide rows of 40"));
  EXPECT_THAT(refused.error().where, HasSubstr("node first"));
}

TEST_F(Graphs, WeightsThatAreNoNumbersNameLayerAndPlace) {
  Net net;
  Tensor weight = random({8, 32}, 1);
  weight.as<float>()[3 * 32 + 4] = NAN;
  net.returns({net.linear(net.input({2, 32}), "broken", weight)});
  const auto result = quantize(net.graph, {rule(weights(4, 32))});
  EXPECT_TRUE(fails_with(result, Code::data, "weight [3, 4] is NaN"));
  EXPECT_THAT(result.error().where, HasSubstr("node broken"));
}

TEST_F(Graphs, WhatCannotBeQuantizedAgainstARuleIsAWarning) {
  Net net;
  const auto x = net.input({4, 32}), w = net.input({8, 32}, DType::f32, "w");
  const auto computed = net.node("aten.linear.default", {x, w}, {}, "computed");
  net.returns({computed, net.linear(x, "again", random({8, 32}, 1))});
  must(quantize(net.graph, {rule(weights(4, 32))}));
  EXPECT_THAT(notes(Level::warning), ElementsAre(AllOf(HasSubstr("node computed"),
                                                       HasSubstr("stays in float against a rule: its weight is not "
                                                                 "a constant"))));
  diagnostics.~Diagnostics();
  new (&diagnostics) Diagnostics;
  const Report twice = must(quantize(net.graph, {rule(weights(8, 32))}));
  EXPECT_EQ(twice.lines[1].reason, "its weight is quantized already");
  EXPECT_THAT(notes(Level::warning), SizeIs(2));
}

TEST_F(Graphs, LayersThatShareAWeightMayDiffer) {
  Net net;
  const auto x = net.input({4, 32});
  const auto w = net.graph.add_constant("shared", random({32, 32}, 1));
  const auto a = net.node("aten.linear.default", {x, w}, {}, "a", {"a"});
  const auto b = net.node("aten.linear.default", {a, w}, {}, "b", {"b"});
  net.returns({net.node("aten.linear.default", {b, w}, {}, "c", {"c"})});
  must(quantize(net.graph, {rule(weights(2, 32), "a"), rule(weights(8, 32), "b")}));
  EXPECT_EQ(weight_of(net.graph, "a").type.dtype, DType::s2);
  EXPECT_EQ(weight_of(net.graph, "b").type.dtype, DType::s8);
  EXPECT_EQ(weight_of(net.graph, "c").type.dtype, DType::f32);
}

TEST_F(Graphs, CodesMayBeKeptElsewhere) {
  size_t kept = 0;
  Resources with = resources();
  with.keep = [&](Tensor codes) -> Result<Tensor> {
    kept += codes.bytes();
    const auto owner = std::make_shared<Tensor>(codes);
    return Tensor(codes.dtype(), codes.shape(), owner, std::as_const(*owner).data());
  };
  ir::Graph graph = net_.graph;
  must(Quantizer({rule(weights(4, 8))}).quantize(graph, {}, with));
  EXPECT_EQ(kept, 24u * 20 + 8 * 12) << "two codes per byte";
  with.keep = [](const Tensor&) -> Result<Tensor> { return fail(Code::io, "the disk is full"); };
  EXPECT_TRUE(fails_with(Quantizer({rule(weights(4, 8))}).quantize(net_.graph, {}, with), Code::io, "disk is full"));
}

// -- embeddings

class Embeddings : public Quantizing, public ::testing::WithParamInterface<uint32_t> {};

TEST_P(Embeddings, GiveTheRowsThatTheCodesStandFor) {
  for (const int64_t features : {int64_t{32}, int64_t{40}}) {
    Net net;
    const Tensor table = random({9, features}, 1);
    net.returns({net.embedding(net.input({4}, DType::s64, "ids"), "table", table)});
    const Report report = must(EmbeddingQuantizer({.bits = GetParam()}).quantize(net.graph, {}, resources()));
    EXPECT_EQ(report.lines[0].kind, "embedding");
    EXPECT_EQ(report.lines[0].bits, GetParam());
    const auto weight = quantized_weight(net.graph, "table");
    EXPECT_EQ(bits(weight.codes.dtype()), GetParam());
    const auto width = static_cast<size_t>(weight.codes.shape()[1]);
    const std::vector<float> rows = reals(weight);
    const std::vector<int64_t> ids{7, 0, 7, 3};
    const Tensor found = run(net.graph, {Tensor::of<int64_t>(DType::s64, {4}, ids)})[0];
    ASSERT_EQ(found.shape(), (Shape{4, features}));
    for (size_t t = 0; t < ids.size(); ++t)
      for (size_t c = 0; c < static_cast<size_t>(features); ++c)
        EXPECT_EQ(found.as<float>()[t * static_cast<size_t>(features) + c],
                  rows[static_cast<size_t>(ids[t]) * width + c]);
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, Embeddings, ::testing::Values(2, 4, 8));

}  // namespace
}  // namespace quoin::source::test
