// Models of every family against a straight-line reference, from safetensors and from GGUF.
#include <cmath>

#include "../checkpoint/support.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

namespace quoin::nn::test {
namespace {

using checkpoint::test::Gguf;
using checkpoint::test::TempFolder;

const std::vector<int64_t> kTokens{3, 14, 15, 9, 26, 5, 3, 5, 8, 9, 7, 9, 31, 23, 8, 4, 6, 2, 6, 4};

Tensor score(LanguageModel& model) {
  const auto count = static_cast<int64_t>(kTokens.size());
  return runner(model, Method::score, {.context = 32, .chunk = count})(kTokens);
}

struct Family {
  std::string name;
  TinyModel model;
};

// Those whose keys have a form in GGUF.
std::vector<Family> in_both_formats() {
  TinyModel plain, biases{.qkv_bias = true, .output_bias = true, .mlp_bias = true}, tied{.tied = true};
  biases.more = R"(,"attention_bias":true,"mlp_bias":true)";
  TinyModel qwen2{.architecture = "qwen2", .qkv_bias = true};
  TinyModel qwen3{.architecture = "qwen3", .head_dim = 16, .qk_norm = true, .tied = true};
  return {{"llama", plain}, {"biases", biases}, {"tied", tied}, {"qwen2", qwen2}, {"qwen3", qwen3}};
}

std::vector<Family> with_windows() {
  TinyModel mistral{.architecture = "mistral", .windows = {5, 5}, .more = R"(,"sliding_window":5)"};
  TinyModel qwen2{.architecture = "qwen2", .qkv_bias = true, .windows = {0, 4}};
  qwen2.more = R"(,"use_sliding_window":true,"sliding_window":4,"max_window_layers":1)";
  return {{"mistral", mistral}, {"qwen2", qwen2}};
}

class Architecture : public ::testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    tiny_ = GetParam().model;
    tiny_.make();
  }
  TinyModel tiny_;
  TempFolder folder_;
};

TEST_P(Architecture, LogitsEqualTheReference) {
  tiny_.write(folder_.path());
  LanguageModel model = open(folder_.path());
  EXPECT_LE(difference(score(model).as<float>(), tiny_.logits(kTokens)), 1e-4f);
}

using ArchitectureInGguf = Architecture;

TEST_P(ArchitectureInGguf, GivesTheSameBits) {
  tiny_.write(folder_.path());
  LanguageModel model = open(folder_.path()), same = open(folder_.write("w.gguf", tiny_.gguf()));
  EXPECT_EQ(difference(score(model), score(same)), 0.0f);
}

std::string family_name(const ::testing::TestParamInfo<Family>& family) { return family.param.name; }
INSTANTIATE_TEST_SUITE_P(Families, Architecture, ::testing::ValuesIn(in_both_formats()), family_name);
INSTANTIATE_TEST_SUITE_P(Windows, Architecture, ::testing::ValuesIn(with_windows()), family_name);
INSTANTIATE_TEST_SUITE_P(Families, ArchitectureInGguf, ::testing::ValuesIn(in_both_formats()), family_name);

// Frequencies of head_dim 8 and theta 10000 after scaling, by the published formulas.
struct Scaling {
  std::string name, keys;
  std::vector<double> frequencies;
  double scale = 1;
};

class RopeScaling : public ::testing::TestWithParam<Scaling> {};

TEST_P(RopeScaling, GivesThePublishedFrequencies) {
  TinyModel tiny{
      .head_dim = 8, .more = GetParam().keys, .frequencies = GetParam().frequencies, .rope_scale = GetParam().scale};
  tiny.make();
  const TempFolder folder;
  tiny.write(folder.path());
  LanguageModel model = open(folder.path());
  const std::vector<float>& found = model.config().rope_frequencies;
  ASSERT_EQ(found.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(found[i], static_cast<float>(tiny.frequencies[i])) << i;
  EXPECT_DOUBLE_EQ(model.config().rope_scale, GetParam().scale);
  EXPECT_LE(difference(score(model).as<float>(), tiny.logits(kTokens)), 1e-4f);
}

// llama3: in 1024 positions, 1 and 0.1 radians make over 4 rounds, 0.001 less than one, 0.01 makes 1.63.
// yarn: in 64 positions, pair 0 makes the most rounds, under 20; 0.02 rounds lie before pair 3. So the ramp is 0 .. 3.
std::vector<Scaling> scalings() {
  const double waves = 1024 * 0.01 / (2 * M_PI), smooth = (waves - 1) / 3;
  const double ramp = 1.0 / 3;
  return {{"linear", R"(,"rope_scaling":{"type":"linear","factor":4.0})", {0.25, 0.025, 0.0025, 0.00025}},
          {"llama3",
           R"(,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
           R"("original_max_position_embeddings":1024})",
           {1, 0.1, 0.01 * ((1 - smooth) / 8 + smooth), 0.001 / 8}},
          {"parameters",
           R"(,"rope_parameters":{"rope_type":"linear","factor":2.0,"rope_theta":10000.0})",
           {0.5, 0.05, 0.005, 0.0005}},
          {"yarn",
           R"(,"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64,"beta_fast":20.0,)"
           R"("beta_slow":0.02})",
           {1, 0.1 * (1 - ramp + ramp / 4), 0.01 * (1 - 2 * ramp + 2 * ramp / 4), 0.001 / 4},
           0.1 * std::log(4.0) + 1}};
}

INSTANTIATE_TEST_SUITE_P(Kinds, RopeScaling, ::testing::ValuesIn(scalings()),
                         [](const auto& scaling) { return scaling.param.name; });

TEST(GgufModel, BlocksStayCloseAndTheirCodesGiveTheSameLogits) {
  TinyModel tiny{.hidden = 64, .inner = 96, .head_dim = 16};
  tiny.make();
  const std::vector<float> exact = tiny.logits(kTokens);
  const TempFolder folder;
  for (const auto& [type, worst] : {std::pair{Gguf::Q8_0, 0.5f}, {Gguf::Q4_0, 4.0f}}) {
    LanguageModel model = open(folder.write("w.gguf", tiny.gguf(type)));
    const Tensor floats = score(model);
    EXPECT_LE(difference(floats.as<float>(), exact), worst);
    visit(model.root(), [](Module& module) {
      for (Parameter* parameter : module.parameters()) parameter->quantized = must(parameter->load_stored());
    });
    EXPECT_LE(difference(score(model), floats), 1e-4f);
  }
}

}  // namespace
}  // namespace quoin::nn::test
