// Language models, quantized stage by stage, give what their exported graphs give.
#include "../nn/tiny_model.hpp"
#include "nn/language_model.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

using checkpoint::test::TempFolder;
using nn::LanguageModel;
using nn::test::TinyModel;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 16;

class Language : public Quantizing {
 protected:
  LanguageModel model(TinyModel tiny = {.qkv_bias = true, .output_bias = true}) {
    if (tiny.qkv_bias) tiny.more = R"(,"attention_bias":true)";
    tiny.make();
    tiny.write(folder_.path());
    return nn::test::open(folder_.path());
  }
  static std::vector<Sample> texts(size_t count = 6) {
    std::mt19937 engine(3);
    std::vector<Sample> out;
    for (size_t i = 0; i < count; ++i) {
      std::vector<int64_t> ids(kTokens);
      for (int64_t& id : ids) id = static_cast<int64_t>(engine() % 32);
      out.push_back({Tensor::of<int64_t>(DType::s64, {kTokens}, ids)});
    }
    return out;
  }
  Result<Report> quantize_model(LanguageModel& model, std::vector<Rule> rules,
                                const std::vector<Sample>& samples = {}) {
    return Quantizer(std::move(rules)).quantize(model, {samples}, resources());
  }

  static constexpr nn::ExportOptions kOptions{.context = kTokens, .chunk = kTokens};
  static ir::Graph score(LanguageModel& model) { return must(model.export_method(nn::Method::score, kOptions)); }
  // The inputs of score: tokens, their positions, empty caches.
  static std::vector<Sample> inputs(const ir::Graph& graph, const std::vector<Sample>& texts) {
    std::vector<Sample> out = texts;
    for (Sample& sample : out) {
      Tensor positions(DType::s64, {kTokens});
      for (size_t i = 0; i < kTokens; ++i) positions.as<int64_t>()[i] = static_cast<int64_t>(i);
      sample.push_back(positions);
      for (size_t i = 2; i < graph.inputs().size(); ++i) {
        const TensorType& type = graph.value(graph.inputs()[i]).type;
        sample.emplace_back(type.dtype, type.shape);
      }
    }
    return out;
  }
  static Tensor logits(const ir::Graph& graph) { return run(graph, inputs(graph, texts(1))[0])[0]; }
  static bool same_weights(const ir::Graph& a, const ir::Graph& b) {
    const auto constants = [](const ir::Graph& graph) {
      std::map<std::string, std::pair<std::vector<int64_t>, std::shared_ptr<const QParams>>> out;
      for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
        if (graph.value(id).alive && graph.is_constant(id) && graph.value(id).type.qparams)
          out[graph.value(id).name] = {codes(*graph.value(id).constant), graph.value(id).type.qparams};
      return out;
    };
    const auto left = constants(a), right = constants(b);
    if (left.size() != right.size()) return false;
    for (const auto& [name, weight] : left) {
      const auto other = right.find(name);
      if (other == right.end() || weight.first != other->second.first || *weight.second != *other->second.second)
        return false;
    }
    return true;
  }
  // Without the errors of outputs, which are known where something reads them.
  static std::string told(Report report) {
    for (ReportLine& line : report.lines) line.output_sqnr_db.reset();
    return report.text();
  }
  TempFolder folder_;
};

LayerConfig layer(Algorithm algorithm) {
  LayerConfig config = weights(4, 16, algorithm);
  config.dynamic_activations = true;
  return config;
}
LayerConfig table(uint32_t bits) {
  LayerConfig config = weights(bits, 16);
  config.target = LayerConfig::Target::embedding;
  return config;
}

TEST_F(Language, WithoutSamplesEqualsTheExportedGraph) {
  for (const Algorithm algorithm :
       {Algorithm::min_max, Algorithm::clip_search, Algorithm::hqq, Algorithm::hqq_affine}) {
    LanguageModel tree = model();
    const std::vector<Rule> rules{rule(layer(algorithm)), rule(table(8)), rule({}, "lm_head")};
    ir::Graph graph = score(tree);
    const Report of_graph = must(quantize(graph, rules)), of_tree = must(quantize_model(tree, rules));
    const ir::Graph exported = score(tree);
    EXPECT_TRUE(same_weights(exported, graph)) << name(algorithm);
    EXPECT_EQ(nn::test::difference(logits(exported), logits(graph)), 0) << name(algorithm);
    EXPECT_EQ(told(of_tree), told(of_graph)) << name(algorithm);
  }
}

TEST_F(Language, WithSamplesEqualsTheExportedGraph) {
  for (const Algorithm algorithm : {Algorithm::gptq, Algorithm::clip_search}) {
    LanguageModel tree = model();
    const std::vector<Rule> rules{rule(layer(algorithm)), rule(table(8)), rule({}, "model.layers.1.mlp.up_proj")};
    ir::Graph graph = score(tree);
    const Report of_graph = must(quantize(graph, rules, inputs(graph, texts())));
    const Report of_tree = must(quantize_model(tree, rules, texts()));
    const ir::Graph exported = score(tree);
    EXPECT_TRUE(same_weights(exported, graph)) << name(algorithm);
    EXPECT_EQ(nn::test::difference(logits(exported), logits(graph)), 0) << "biases moved as well";
    EXPECT_EQ(told(of_tree), told(of_graph)) << name(algorithm);
  }
}

TEST_F(Language, CalibrationBringsLogitsNearer) {
  LanguageModel exact = model(), plain = model(), calibrated = model();
  must(quantize_model(plain, {rule(layer(Algorithm::min_max))}));
  must(quantize_model(calibrated, {rule(layer(Algorithm::gptq))}, texts(24)));
  const Tensor wanted = logits(score(exact));
  const auto error = [&](LanguageModel& model) {
    return squared_distance(logits(score(model)).as<float>(), wanted.as<float>());
  };
  EXPECT_LT(error(calibrated), 0.6 * error(plain));
}

TEST_F(Language, RowsThatGroupsDoNotDivideArePadded) {
  LayerConfig config = layer(Algorithm::gptq);
  config.group = 32;  // of 48 and 40
  LanguageModel tree = model();
  LayerConfig embedding = table(4);
  embedding.group = 32;
  const Report report = must(quantize_model(tree, {rule(config), rule(embedding)}, texts()));
  for (const ReportLine& line : report.lines)
    EXPECT_THAT(line.reason, HasSubstr("padded with zeros to 64")) << line.name;
  const ir::Graph graph = score(tree);
  EXPECT_EQ(weight_of(graph, "embedding").type.shape, (Shape{32, 64}));
  EXPECT_EQ(logits(graph).shape(), (Shape{kTokens, 32}));
}

TEST_F(Language, TiedWeightsMayBeQuantizedApart) {
  LanguageModel tree = model({.tied = true});
  const Tensor exact = logits(score(tree));
  LayerConfig config = layer(Algorithm::min_max);
  config.bits = 8;
  const Report report = must(quantize_model(tree, {rule(config, "lm_head"), rule(table(4))}));
  EXPECT_EQ(report.lines.front().bits, 4u);
  EXPECT_EQ(report.lines.back().bits, 8u);
  EXPECT_EQ(report.lines.back().reason, "");
  const Tensor found = logits(score(tree));
  EXPECT_GT(nn::test::difference(found, exact), 0);
  EXPECT_LT(squared_distance(found.as<float>(), exact.as<float>()),
            0.1 * squared_distance(exact.as<float>(), std::vector<float>(exact.as<float>().size())));
}

TEST_F(Language, TiedWeightsOfOneKindAreQuantizedOnce) {
  LanguageModel tree = model({.tied = true});
  const Report report = must(quantize_model(tree, {rule(weights(8, 16), "lm_head"), rule(table(8))}));
  EXPECT_EQ(report.lines.back().reason, "shares its weight");
  const ir::Graph graph = score(tree);
  EXPECT_EQ(weight_of(graph, "embedding").constant->data(), weight_of(graph, "linear_14").constant->data());
}

TEST_F(Language, CodesOfTheCheckpointGiveWayToRules) {
  TinyModel tiny{.hidden = 64, .inner = 64, .head_dim = 16};
  tiny.make();
  const std::string path = folder_.write("w.gguf", tiny.gguf(checkpoint::test::Gguf::Q4_0));
  LanguageModel given = nn::test::open(path), quantized = nn::test::open(path);
  must(quantize_model(quantized, {rule(layer(Algorithm::gptq))}, texts()));
  LanguageModel again = nn::test::open(path);
  must(quantize_model(again, {rule(layer(Algorithm::min_max))}));
  EXPECT_FALSE(same_weights(score(given), score(quantized)));
  EXPECT_FALSE(same_weights(score(again), score(quantized)));
}

TEST_F(Language, SamplesMustBeRowsOfTokensOfOneLength) {
  LanguageModel tree = model();
  const auto refused = [&](std::vector<Sample> samples, Code code, const std::string& part) {
    EXPECT_TRUE(fails_with(quantize_model(tree, {rule(layer(Algorithm::gptq))}, samples), code, part));
  };
  std::vector<Sample> shorter = texts(2), other = texts(2), more = texts(2), beyond = texts(2);
  shorter[1][0] = Tensor(DType::s64, {5});
  other[1][0] = Tensor(DType::f32, {kTokens});
  more[1].push_back(more[1][0]);
  beyond[1][0].as<int64_t>()[3] = 32;
  refused(shorter, Code::input, "calibration sample 1: 5 tokens, the first sample has 16");
  refused(other, Code::input, "calibration sample 1: expected one tensor of token ids, s64 [tokens]");
  refused(more, Code::input, "calibration sample 1: expected one tensor of token ids");
  refused({{Tensor(DType::s64, {0})}}, Code::input, "0 tokens");
  refused({{Tensor(DType::s64, {65})}}, Code::input, "65 tokens, the model has 1..64 positions");
  refused(beyond, Code::input, "32");
}

TEST_F(Language, WhatCalibrationNeedsIsNamed) {
  LanguageModel tree = model();
  const std::vector<Sample> samples = texts(1);
  const Quantizer quantizer({rule(layer(Algorithm::gptq))});
  EXPECT_TRUE(fails_with(quantizer.quantize(tree, {}, resources()), Code::recipe, "gptq needs calibration samples"));
  EXPECT_TRUE(fails_with(quantizer.quantize(tree, {samples, "mask"}, resources()), Code::recipe,
                         "language models have no input that masks tokens"));
  Resources without = resources();
  without.kernels = nullptr;
  EXPECT_TRUE(fails_with(quantizer.quantize(tree, {samples}, without), Code::usage, "kernels are needed"));
}

TEST_F(Language, WeightsThatAreNoNumbersNameTheirModule) {
  TinyModel tiny;
  tiny.make();
  tiny.weights.at("model.layers.1.mlp.up_proj.weight").as<float>()[50] = NAN;
  tiny.write(folder_.path());
  for (const std::vector<Sample>& samples : {std::vector<Sample>(), texts(1)}) {
    LanguageModel tree = nn::test::open(folder_.path());
    const auto result = quantize_model(tree, {rule(layer(Algorithm::clip_search))}, samples);
    EXPECT_TRUE(fails_with(result, Code::model, "element [1, 2] is NaN"));
    EXPECT_THAT(result.error().text(), HasSubstr("model.layers.1.mlp.up_proj"));
  }
}

}  // namespace
}  // namespace quoin::source::test
