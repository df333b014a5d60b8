// Graphs that are quantized with samples: every layer sees what the quantized layers before it make of them.
#include <cmath>

#include "support.hpp"

namespace quoin::source::test {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTokens = 12, kFeatures = 32;

LayerConfig calibrated(Algorithm algorithm = Algorithm::gptq) {
  LayerConfig config = weights(3, 16, algorithm);
  config.dynamic_activations = true;
  return config;
}

class Samples : public Quantizing {
 protected:
  // first, gelu, second, added to first, third
  Samples() {
    const auto x = net_.input({1, kTokens, kFeatures});
    const auto mask = net_.input({1, kTokens}, DType::s64, "mask");
    const auto first = net_.linear(x, "first", random({kFeatures, kFeatures}, 1, 0.2f), random({kFeatures}, 2));
    const auto hidden = net_.node("aten.gelu.default", {first});
    const auto second = net_.linear(hidden, "second", random({kFeatures, kFeatures}, 3, 0.2f), random({kFeatures}, 4));
    const auto sum = net_.node("aten.add.Tensor", {second, first});
    const auto third = net_.linear(sum, "third", random({8, kFeatures}, 5, 0.2f), random({8}, 6));
    net_.returns({third, net_.node("aten.add.Tensor", {mask, mask})});
  }
  static Tensor all_ones() { return Tensor::of<int64_t>(DType::s64, {1, kTokens}, std::vector<int64_t>(kTokens, 1)); }
  static std::vector<Sample> samples(size_t count = 16, unsigned seed = 40) {
    std::vector<Sample> out;
    for (size_t i = 0; i < count; ++i)
      out.push_back(
          {correlated(kTokens, kFeatures, seed + 2 * static_cast<unsigned>(i)).reshaped({1, kTokens, kFeatures}),
           all_ones()});
    return out;
  }
  // Squared error of the first output over samples that nothing was calibrated with.
  double error(const ir::Graph& graph) const {
    double sum = 0;
    for (const Sample& sample : samples(4, 900))
      sum += squared_distance(run(graph, sample)[0].as<float>(), run(net_.graph, sample)[0].as<float>());
    return sum;
  }
  ir::Graph quantized(const LayerConfig& config, const std::vector<Sample>& with) {
    ir::Graph graph = net_.graph;
    report_ = must(quantize(graph, {rule(config)}, with));
    return graph;
  }
  Net net_;
  Report report_;
};

TEST_F(Samples, CalibratedLayersComputeMoreExactly) {
  const double plain = error(quantized(calibrated(Algorithm::min_max), {}));
  EXPECT_LT(error(quantized(calibrated(Algorithm::clip_search), samples())), plain);
  EXPECT_LT(error(quantized(calibrated(), samples())), 0.5 * plain);
}

TEST_F(Samples, EveryLayerSeesTheErrorsOfThoseBefore) {
  LayerConfig config = calibrated();
  const auto exact = quantized_weight(quantized(config, samples()), "third");
  ir::Graph alone = net_.graph;
  must(quantize(alone, {rule(config, "third")}, samples()));
  const auto clean = quantized_weight(alone, "third");
  EXPECT_NE(codes(exact.codes), codes(clean.codes));
  ir::Graph first = net_.graph;
  must(quantize(first, {rule(config, "first")}, samples()));
  EXPECT_EQ(codes(quantized_weight(first, "first").codes),
            codes(quantized_weight(quantized(config, samples()), "first").codes));
}

TEST_F(Samples, ReportsTheErrorOfOutputs) {
  const ir::Graph graph = quantized(calibrated(), samples());
  ASSERT_EQ(report_.lines.size(), 3u);
  ASSERT_TRUE(report_.lines[0].output_sqnr_db && report_.lines[1].output_sqnr_db);
  double signal = 0, noise = 0;
  for (const Sample& sample : samples()) {
    ir::Graph one = graph, exact = net_.graph;
    one.set_outputs({one.output(find(one, "second"))});
    exact.set_outputs({exact.output(find(exact, "second"))});
    const Tensor found = run(one, sample)[0], wanted = run(exact, sample)[0];
    noise += squared_distance(found.as<float>(), wanted.as<float>());
    signal += squared_distance(wanted.as<float>(), std::vector<float>(wanted.as<float>().size()));
  }
  EXPECT_NEAR(*report_.lines[1].output_sqnr_db, 10 * std::log10(signal / noise), 1e-3);
  EXPECT_GT(*report_.lines[1].output_sqnr_db, 10);
  EXPECT_THAT(report_.text(), HasSubstr(fmt::format("{:.1f} dB", *report_.lines[1].output_sqnr_db)));
}

TEST_F(Samples, MaskedTokensCountNothing) {
  std::vector<Sample> clean = samples(), dirty = samples();
  for (auto* set : {&clean, &dirty})
    for (Sample& sample : *set) {
      Tensor mask = Tensor::of<int64_t>(DType::s64, {1, kTokens}, std::vector<int64_t>(kTokens, 1));
      for (size_t t = 8; t < kTokens; ++t) mask.as<int64_t>()[t] = 0;
      sample[1] = mask;
    }
  for (Sample& sample : dirty)
    for (size_t i = 8 * kFeatures; i < kTokens * kFeatures; ++i) sample[0].as<float>()[i] = 100 + static_cast<float>(i);
  const auto layers = [&](const std::vector<Sample>& with, const std::string& mask) {
    ir::Graph graph = net_.graph;
    must(quantize(graph, {rule(calibrated())}, with, mask));
    std::vector<std::vector<int64_t>> out;
    for (const char* name : {"first", "second", "third"}) out.push_back(codes(quantized_weight(graph, name).codes));
    return out;
  };
  EXPECT_EQ(layers(dirty, "mask"), layers(clean, "mask"));
  EXPECT_NE(layers(dirty, ""), layers(clean, ""));
}

TEST_F(Samples, MasksThatMakeNoSenseAreErrors) {
  EXPECT_TRUE(fails_with(quantize(net_.graph, {rule(calibrated())}, samples(1), "masc"), Code::recipe,
                         "the model has no input \"masc\" to mask tokens"));
  std::vector<Sample> nothing = samples(2);
  for (Sample& sample : nothing) sample[1] = Tensor(DType::s64, {1, kTokens});
  EXPECT_TRUE(fails_with(quantize(net_.graph, {rule(calibrated())}, nothing, "mask"), Code::data,
                         "the mask leaves no token to calibrate with"));
}

TEST_F(Samples, ThatDoNotFitTheModelAreNamed) {
  const auto refused = [&](const std::function<void(Sample&)>& spoil, Code code, const std::string& part) {
    std::vector<Sample> with = samples(3);
    spoil(with[2]);
    const auto result = quantize(net_.graph, {rule(calibrated())}, with);
    EXPECT_TRUE(fails_with(result, code, part));
    if (!result) {
      EXPECT_THAT(result.error().text(), HasSubstr("calibration sample 2"));
    }
  };
  refused([](Sample& s) { s.pop_back(); }, Code::input, "1 inputs given, the model has 2");
  refused(
      [](Sample& s) {
        s[0] = s[0].reshaped({kTokens, kFeatures});
      },
      Code::input, "input x must be f32[1, 12, 32], found f32[12, 32]");
  refused(
      [](Sample& s) {
        s[1] = Tensor(DType::s32, {1, kTokens});
      },
      Code::input, "input mask must be s64[1, 12], found s32");
  refused([](Sample& s) { s[0].as<float>()[33] = NAN; }, Code::data, "element 33 of input x is nan");
  refused([](Sample& s) { s[0].as<float>()[0] = INFINITY; }, Code::data, "element 0 of input x is inf");
  std::vector<Sample> large = samples(1);
  large[0][0].as<float>()[5] = 3e38f;
  EXPECT_TRUE(fails_with(quantize(net_.graph, {rule(calibrated())}, large), Code::data, "too large to be squared"));
}

TEST_F(Samples, AlgorithmsThatNeedThemSaySo) {
  const auto result = quantize(net_.graph, {rule(calibrated())});
  EXPECT_TRUE(fails_with(result, Code::recipe, "gptq needs calibration samples"));
  EXPECT_THAT(result.error().hint, HasSubstr("quantize.source.calibrate.data"));
}

TEST_F(Samples, AreOfNoUseWithoutKernels) {
  const std::vector<Sample> with = samples(1);
  Resources without = resources();
  without.kernels = nullptr;
  EXPECT_TRUE(fails_with(Quantizer({rule(calibrated())}).quantize(net_.graph, {with}, without), Code::usage,
                         "kernels are needed to run calibration samples"));
}

class Stop : public Progress {
 public:
  void stage(std::string_view name, uint64_t total) override { stages.push_back(fmt::format("{} {}", name, total)); }
  bool step(uint64_t done) override { return done < 3; }
  std::vector<std::string> stages;
};

TEST_F(Samples, MayBeStopped) {
  const std::vector<Sample> with = samples(1);
  Stop stop;
  Resources watched = resources();
  watched.progress = &stop;
  EXPECT_TRUE(
      fails_with(Quantizer({rule(calibrated())}).quantize(net_.graph, {with}, watched), Code::cancelled, "stopped"));
  EXPECT_EQ(stop.stages, std::vector<std::string>{"calibrate layers 6"});
}

}  // namespace
}  // namespace quoin::source::test
