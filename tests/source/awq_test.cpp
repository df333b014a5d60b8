// Activation-aware quantization: which factors it finds, and who takes the division up.
#include "source/awq.hpp"

#include "source/weights.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

constexpr int64_t kTokens = 64, kColumns = 32, kRows = 24, kLoud = 3;  // column kLoud has large inputs

Tensor loud_input(unsigned seed) {
  Tensor out = random({kTokens, kColumns}, seed);
  for (int64_t t = 0; t < kTokens; ++t) out.as<float>()[static_cast<size_t>(t * kColumns + kLoud)] *= 30;
  return out;
}

Vector factors_for(const Tensor& x) {
  Moments moments(kColumns);
  EXPECT_TRUE(moments.add(rows_of(x), rows_of(x), nn::test::host()));
  const LayerConfig config = weights(4, 32, Algorithm::awq);
  const std::vector<AwqLayer> layers{{random({kRows, kColumns}, 1, 0.2f), &config, *grouping(config, kColumns)}};
  return must(awq_factors(layers, moments, nn::test::host()));
}

size_t count(const ir::Graph& graph, std::string_view op) {
  return static_cast<size_t>(
      std::ranges::count_if(graph.order(), [&](ir::NodeId id) { return graph.node(id).op() == op; }));
}

// x -> [norm] -> two linear layers, whose results are added.
Net two_layers(bool norm, bool norm_is_read_twice = false) {
  Net net;
  ir::ValueId x = net.input({kTokens, kColumns});
  if (norm) {
    Tensor weight = random({kColumns}, 7);
    weight.as<float>()[kLoud] = 40;
    const auto scale = net.graph.add_constant("norm.weight", std::move(weight)),
               shift = net.graph.add_constant("norm.bias", random({kColumns}, 8));
    x = net.node("aten.layer_norm.default", {x, scale, shift}, {{"normalized_shape", std::vector<int64_t>{kColumns}}},
                 "norm");
  }
  const auto a = net.linear(x, "a", random({kRows, kColumns}, 1, 0.2f)),
             b = net.linear(x, "b", random({kRows, kColumns}, 2, 0.2f));
  std::vector<ir::ValueId> outputs{net.node("aten.add.Tensor", {a, b})};
  if (norm_is_read_twice) outputs.push_back(net.node("aten.relu.default", {x}));
  return std::move(net.returns(std::move(outputs)));
}

float loud_norm_weight(const ir::Graph& graph) {
  return graph.value(graph.input(find(graph, "norm"), 1)).constant->as<float>()[kLoud];
}

class Awq : public Quantizing {
 protected:
  Report quantized(Net& net, const LayerConfig& config) {
    return must(quantize(net.graph, {rule(config)}, {{loud_input(11)}, {loud_input(12)}}));
  }
  // The squared error of the output for an input that calibration has not seen, beside the output's square.
  double loss(Net net, const LayerConfig& config) {
    const Tensor x = loud_input(20), real = run(net.graph, {x})[0];
    quantized(net, config);
    const std::vector<float> zero(real.as<float>().size());
    return squared_distance(run(net.graph, {x})[0].as<float>(), real.as<float>()) /
           squared_distance(zero, real.as<float>());
  }
};

TEST(AwqFactors, SpareTheColumnsWithLargeInputs) {
  const Vector factor = factors_for(loud_input(3));
  Eigen::Index largest = 0;
  factor.maxCoeff(&largest);
  EXPECT_EQ(largest, kLoud);
  EXPECT_GT(factor(kLoud), 1.5);
  EXPECT_NEAR(factor.maxCoeff() * factor.minCoeff(), 1, 1e-5);
}

TEST(AwqFactors, AreOneWhereColumnsAreAlike) {
  Tensor x(DType::f32, {kColumns, kColumns});  // every column is used once, with equal strength
  for (int64_t i = 0; i < kColumns; ++i) x.as<float>()[static_cast<size_t>(i * (kColumns + 1))] = 1;
  EXPECT_TRUE((factors_for(x).array() == 1).all());
}

TEST_F(Awq, DividesByTheNormInFront) {
  Net net = two_layers(true);
  const Report report = quantized(net, weights(4, 32, Algorithm::awq));
  EXPECT_EQ(count(net.graph, "aten.mul.Tensor"), 0u);
  EXPECT_LT(loud_norm_weight(net.graph), 40 / 1.5f);
  ASSERT_EQ(report.lines.size(), 2u);
  for (const ReportLine& line : report.lines) {
    EXPECT_EQ(line.algorithm, "awq");
    EXPECT_EQ(line.reason, "");
  }
  EXPECT_EQ(report.samples, 2u);
}

TEST_F(Awq, PutsOneMultiplicationInFrontWhereNoNormIs) {
  Net net = two_layers(false);
  quantized(net, weights(4, 32, Algorithm::awq));
  EXPECT_EQ(count(net.graph, "aten.mul.Tensor"), 1u);
}

TEST_F(Awq, LeavesANormAloneThatSomebodyElseReads) {
  Net net = two_layers(true, true);
  quantized(net, weights(4, 32, Algorithm::awq));
  EXPECT_EQ(count(net.graph, "aten.mul.Tensor"), 1u);
  EXPECT_EQ(loud_norm_weight(net.graph), 40);
}

TEST_F(Awq, LosesLessThanTheSearchOfScalesAlone) {
  for (const bool norm : {false, true})
    EXPECT_LT(loss(two_layers(norm), weights(4, 32, Algorithm::awq)),
              0.7 * loss(two_layers(norm), weights(4, 32, Algorithm::clip_search)))
        << norm;
}

TEST_F(Awq, KeepsWhatTheModelComputes) {
  for (const bool norm : {false, true}) EXPECT_LT(loss(two_layers(norm), weights(8, 32, Algorithm::awq)), 1e-3) << norm;
}

TEST_F(Awq, NeedsSamples) {
  Net net = two_layers(true);
  EXPECT_TRUE(fails_with(quantize(net.graph, {rule(weights(4, 32, Algorithm::awq))}), Code::recipe,
                         "awq needs calibration samples"));
}

}  // namespace
}  // namespace quoin::source::test
