// What the cpu backend annotates and claims, and the reasons it gives.
#include <map>

#include "harness.hpp"

namespace quoin::cpu::testing {
namespace {

using Ints = std::vector<int64_t>;
using Place = std::tuple<uint32_t, uint32_t, uint32_t>;  // node, slot, is_output

struct Annotated {
  std::map<Place, quoin_qspec> specs;
  std::map<Place, std::vector<Place>> sources;
  std::map<uint32_t, std::string> rule, skipped;
};

Annotated annotate(const ir::Graph& graph, std::string_view preset, std::vector<quoin_param> params = {}) {
  const FakeHost host;
  const Plugin plugin(host);
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  Annotated out;
  quoin_annotator annotator{sizeof annotator, 0, &out, nullptr, nullptr, nullptr};
  annotator.set = [](void* self, quoin_place p, const quoin_qspec* spec) -> quoin_status {
    auto& to = *static_cast<Annotated*>(self);
    const Place place{p.node, p.slot, p.is_output};
    for (uint64_t i = 0; i < spec->num_sources; ++i)
      to.sources[place].emplace_back(spec->sources[i].node, spec->sources[i].slot, spec->sources[i].is_output);
    return to.specs.emplace(place, *spec).second ? QUOIN_OK : QUOIN_INVALID;
  };
  annotator.match = [](void* self, const uint32_t* nodes, uint32_t count, quoin_str rule) {
    for (uint32_t i = 0; i < count; ++i) static_cast<Annotated*>(self)->rule[nodes[i]] = {rule.data, rule.size};
  };
  annotator.skip = [](void* self, uint32_t node, quoin_str reason) {
    static_cast<Annotated*>(self)->skipped[node] = {reason.data, reason.size};
  };
  const quoin_quant_config config{{preset.data(), preset.size()},
                                  {params.data(), static_cast<uint32_t>(params.size()), sizeof(quoin_param)}};
  const std::vector<uint32_t> node_config(graph.order().size(), 0);
  const quoin_quant_request request{
      sizeof request, 0, snapshot.view(), {&config, 1, sizeof config}, node_config.data()};
  quoin_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(plugin.table().quantizer->annotate(plugin.backend(), &request, &annotator, &error), QUOIN_OK);
  return out;
}

class Rules : public ::testing::Test {
 protected:
  std::mt19937 random{3};
  Net net{random, false};
};

TEST_F(Rules, ConvolutionIsQuantizedBehindItsClamp) {
  const auto x = net.conv2d(net.input({1, 3, 8, 8}), {.out = 4, .kernel = 3});
  const Annotated a = annotate(net.returns({net.clamp(x)}), "int8-static");
  ASSERT_TRUE(a.specs.contains({0, 0, 0}));
  EXPECT_EQ(a.specs.at({0, 0, 0}).qmin, -128);
  EXPECT_EQ(a.specs.at({0, 0, 0}).eps, 1.0 / 4096);
  EXPECT_EQ(a.specs.at({0, 1, 0}).scheme, uint32_t{QUOIN_PER_CHANNEL});
  EXPECT_EQ(a.specs.at({0, 1, 0}).qmin, -127);
  EXPECT_EQ(a.specs.at({0, 2, 0}).rule, uint32_t{QUOIN_RULE_PRODUCT});
  EXPECT_EQ(a.specs.at({0, 2, 0}).dtype, quoin_dtype{QUOIN_S32});
  EXPECT_EQ(a.sources.at({0, 2, 0}), (std::vector<Place>{{0, 0, 0}, {0, 1, 0}}));
  EXPECT_FALSE(a.specs.contains({0, 0, 1})) << "no spec between convolution and clamp";
  EXPECT_TRUE(a.specs.contains({1, 0, 1}));
  EXPECT_EQ(a.rule.at(0), "conv2d");
  EXPECT_EQ(a.rule.at(1), "conv2d");
}

TEST_F(Rules, ParametersReachTheSpecs) {
  const auto x = net.linear(net.input({2, 8}), 4, false);
  const uint8_t per_channel = 0;
  const int64_t qmin = -100;
  const Annotated a = annotate(
      net.returns({x}), "int8-static",
      {{{"per_channel", 11}, QUOIN_PARAM_BOOL, 1, &per_channel}, {{"act_qmin", 8}, QUOIN_PARAM_INT, 1, &qmin}});
  EXPECT_EQ(a.specs.at({0, 0, 0}).qmin, -100);
  EXPECT_EQ(a.specs.at({0, 1, 0}).scheme, uint32_t{QUOIN_PER_TENSOR});
  EXPECT_FALSE(a.specs.contains({0, 2, 0})) << "there is no bias";
}

TEST_F(Rules, BothOperandsOfAddAreAnnotatedEvenWhenTheyAreOneValue) {
  const auto x = net.input({1, 4});
  const Annotated a = annotate(net.returns({net.op("aten.add.Tensor", {x, x})}), "int8-static");
  EXPECT_EQ(a.specs.size(), 3u);
}

TEST_F(Rules, DataMovementSharesTheScaleOfItsProducer) {
  const auto x = net.conv2d(net.input({1, 3, 8, 8}), {.out = 4});
  const Annotated a = annotate(net.returns({net.op("aten.view.default", {x}, {{"size", Ints{1, -1}}})}), "int8-static");
  EXPECT_EQ(a.specs.at({1, 0, 0}).kind, uint32_t{QUOIN_SHARED});
  EXPECT_EQ(a.sources.at({1, 0, 0}), (std::vector<Place>{{0, 0, 1}}));
  EXPECT_EQ(a.sources.at({1, 0, 1}), (std::vector<Place>{{1, 0, 0}}));
}

TEST_F(Rules, PaddingOfAnInputIsQuantizedWithTheConvolutionBehindIt) {
  const auto x = net.op("aten.pad.default", {net.input({1, 3, 8, 8})},
                        {{"pad", Ints{0, 1, 0, 1}}, {"mode", std::string("constant")}, {"value", 0.0}});
  const Annotated a = annotate(net.returns({net.conv2d(x, {.out = 4})}), "int8-static");
  EXPECT_EQ(a.specs.at({0, 0, 0}).kind, uint32_t{QUOIN_OBSERVED});
  EXPECT_EQ(a.specs.at({0, 0, 1}).kind, uint32_t{QUOIN_SHARED});
}

TEST_F(Rules, DataMovementBetweenFloatNodesStaysInFloat) {
  const auto x = net.op("aten.softmax.int", {net.input({1, 4})}, {{"dim", int64_t{-1}}});
  const Annotated a = annotate(net.returns({net.op("aten.view.default", {x}, {{"size", Ints{4}}})}), "int8-static");
  EXPECT_TRUE(a.specs.empty());
  EXPECT_EQ(a.skipped.at(1), "moves data that is not quantized");
  EXPECT_EQ(a.skipped.at(0), "rule softmax: preset int8-static leaves it in float");
}

TEST_F(Rules, DynamicPresetTypesTokensAndWeightsOfLinearOnly) {
  auto x = net.linear(net.input({2, 8}), 4);
  x = net.op("aten.add.Tensor", {x, x});
  const Annotated a = annotate(net.returns({x}), "int8-dynamic");
  EXPECT_EQ(a.specs.size(), 2u);
  EXPECT_EQ(a.specs.at({0, 0, 0}).scheme, uint32_t{QUOIN_PER_TOKEN});
  EXPECT_EQ(a.specs.at({0, 0, 0}).flags, uint32_t{QUOIN_DYNAMIC});
  EXPECT_EQ(a.skipped.at(1), "rule add: preset int8-dynamic leaves it in float");
}

TEST_F(Rules, WeightsThatAreNotConstantStayInFloat) {
  const auto x = net.op("aten.linear.default", {net.input({2, 8}), net.input({4, 8})});
  EXPECT_EQ(annotate(net.returns({x}), "int8-static").skipped.at(0), "rule linear: the weight is not a constant");
}

TEST_F(Rules, UnknownOperatorsAreDeclinedAndSplitTheGraph) {
  auto x = net.linear(net.input({2, 8}), 4);
  const auto y = net.op("aten.log.default", {x});
  net.returns({net.op("aten.add.Tensor", {net.op("aten.relu.default", {y}), net.op("aten.relu.default", {x})})});
  const FakeHost host;
  const Claimed claimed = Plugin(host).partition(net.graph);
  ASSERT_EQ(claimed.declined.size(), 1u);
  EXPECT_EQ(claimed.declined[0].second, "no rule for aten.log.default");
  EXPECT_EQ(claimed.claims.size(), 2u) << "a region must not surround the node between";
}

TEST_F(Rules, OtherTypesAreDeclined) {
  const auto x = net.graph.add_input("ids", {DType::s64, {2, 8}, nullptr});
  net.returns({net.real("aten.view.default", {x}, {{"size", Ints{16}}})});
  net.graph.value(net.graph.outputs()[0]).type.dtype = DType::s64;
  const FakeHost host;
  const Claimed claimed = Plugin(host).partition(net.graph);
  ASSERT_EQ(claimed.declined.size(), 1u);
  EXPECT_EQ(claimed.declined[0].second, "rule view: 'ids' is not f32");
}

}  // namespace
}  // namespace quoin::cpu::testing
