// Configurations that are incomplete, not supported, or disagree with the weights.
#include <functional>
#include <random>

#include "../checkpoint/support.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

namespace quoin::nn::test {
namespace {

using checkpoint::test::fails_with;
using checkpoint::test::Gguf;
using checkpoint::test::TempFolder;

class Refuses : public ::testing::Test {
 protected:
  void SetUp() override { tiny_.make(); }

  Result<LanguageModel> open_files() {
    tiny_.write(folder_.path());
    return LanguageModel::open(folder_.path(), diagnostics_);
  }
  // With config.json changed: `from` replaced by `to`.
  Result<LanguageModel> edited(const std::string& from, const std::string& to) {
    std::string text = tiny_.config();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    tiny_.write(folder_.path());
    folder_.write("config.json", text);
    return LanguageModel::open(folder_.path(), diagnostics_);
  }
  Result<LanguageModel> with(const std::string& more) { return edited(R"("torch_dtype":"float32")", more); }
  Result<LanguageModel> open_gguf(const std::string& bytes) {
    return LanguageModel::open(folder_.write("w.gguf", bytes), diagnostics_);
  }

  TinyModel tiny_;
  TempFolder folder_;
  Diagnostics diagnostics_;
};

TEST_F(Refuses, ShapesThatDisagreeNamingBothAndTheKeys) {
  EXPECT_TRUE(fails_with(edited("\"intermediate_size\":40", "\"intermediate_size\":41"), Code::model,
                         "tensor model.layers.0.mlp.gate_proj.weight has shape [40, 48], expected [41, 48]: "));
  EXPECT_TRUE(fails_with(edited("\"intermediate_size\":40", "\"intermediate_size\":41"), Code::model,
                         "config.json says intermediate_size 41, hidden_size 48"));
  EXPECT_TRUE(
      fails_with(edited("\"vocab_size\":32", "\"vocab_size\":33"), Code::model, "vocab_size 33, hidden_size 48"));
  EXPECT_TRUE(fails_with(edited("\"head_dim\":12", "\"head_dim\":10"), Code::model,
                         "num_attention_heads 4 x head_dim 10, hidden_size 48"));
}

TEST_F(Refuses, GgufShapesThatDisagreeByItsOwnKeys) {
  TinyModel other = tiny_;
  other.inner = 41;
  EXPECT_TRUE(fails_with(open_gguf(other.gguf()), Code::model,
                         "tensor blk.0.ffn_gate.weight has shape [40, 48], expected [41, 48]"));
  EXPECT_TRUE(
      fails_with(open_gguf(other.gguf()), Code::model, "llama.feed_forward_length 41, llama.embedding_length 48"));
}

TEST_F(Refuses, MissingAndSuperfluousTensors) {
  const Tensor taken = tiny_.weights.extract("model.layers.1.mlp.up_proj.weight").mapped();
  EXPECT_TRUE(fails_with(open_files(), Code::model, "tensor model.layers.1.mlp.up_proj.weight is missing"));
  tiny_.weights["model.layers.1.mlp.up_proj.weight"] = taken;
  tiny_.weights["model.layers.1.mlp.up_proj.bias"] = Tensor(DType::f32, {40});
  EXPECT_TRUE(fails_with(open_files(), Code::model, "tensor model.layers.1.mlp.up_proj.bias is not used"));
  tiny_.weights.erase("model.layers.1.mlp.up_proj.bias");
  tiny_.weights["model.layers.1.mlp.router.weight"] = Tensor(DType::f32, {1});
  EXPECT_TRUE(fails_with(open_files(), Code::model, "router.weight is not part of a model of architecture llama"));
  tiny_.weights.erase("model.layers.1.mlp.router.weight");
  tiny_.weights.erase("lm_head.weight");
  EXPECT_TRUE(fails_with(open_files(), Code::model, "a model whose head is its embedding says tie_word_embeddings"));
}

TEST_F(Refuses, LayersThatTheConfigurationDoesNotCount) {
  EXPECT_TRUE(
      fails_with(edited("\"num_hidden_layers\":2", "\"num_hidden_layers\":1"), Code::model, "belongs to layer 1, "));
  EXPECT_TRUE(fails_with(edited("\"num_hidden_layers\":2", "\"num_hidden_layers\":3"), Code::model,
                         "tensor model.layers.2.input_layernorm.weight is missing"));
}

TEST_F(Refuses, ArchitecturesAndKeysThatChangeTheComputation) {
  const auto unsupported = [&](const Result<LanguageModel>& result, const std::string& part) {
    return fails_with(result, Code::unsupported, part);
  };
  EXPECT_TRUE(
      unsupported(edited("\"llama\"", "\"gemma3\""), "model_type: architecture \"gemma3\" is not supported; llama"));
  EXPECT_TRUE(unsupported(edited("\"silu\"", "\"gelu\""), "hidden_act: \"gelu\" is not supported"));
  EXPECT_TRUE(unsupported(with(R"("partial_rotary_factor":0.5)"), "partial_rotary_factor: 0.5 changes"));
  EXPECT_TRUE(unsupported(with(R"("num_local_experts":8)"), "num_local_experts: 8 changes"));
  EXPECT_TRUE(unsupported(with(R"("final_logit_softcapping":30.0)"), "final_logit_softcapping changes"));
  EXPECT_TRUE(unsupported(with(R"("quantization_config":{"bits":4})"), "quantization_config.bits changes"));
  EXPECT_TRUE(unsupported(with(R"("rope_scaling":{"rope_type":"longrope","factor":2.0})"),
                          "rope_scaling.rope_type: \"longrope\" is not supported; linear, llama3 and yarn are"));
  EXPECT_TRUE(unsupported(with(R"("rope_scaling":{"type":"linear","factor":2.0,"mrope_section":[1,2]})"),
                          "rope_scaling.mrope_section changes"));
}

TEST_F(Refuses, ValuesThatAreMissingOrImpossible) {
  const auto bad = [&](const std::string& from, const std::string& to, const std::string& part) {
    return fails_with(edited(from, to), Code::model, part);
  };
  EXPECT_TRUE(bad("\"hidden_size\":48,", "", "config.json: hidden_size: is missing"));
  EXPECT_TRUE(bad("\"hidden_size\":48", "\"hidden_size\":\"48\"", "hidden_size: must be a whole number"));
  EXPECT_TRUE(bad("\"hidden_size\":48", "\"hidden_size\":-1", "hidden_size: -1 is not in 1.."));
  EXPECT_TRUE(bad("\"num_key_value_heads\":2", "\"num_key_value_heads\":3", "num_key_value_heads: 3 does not divide"));
  EXPECT_TRUE(bad("\"head_dim\":12", "\"head_dim\":11", "head_dim: 11 is odd"));
  EXPECT_TRUE(bad("\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":0", "rms_norm_eps: 0 is not positive"));
  EXPECT_TRUE(bad("\"rope_theta\":10000", "\"rope_theta\":1", "rope_theta: 1 is not above 1"));
  EXPECT_TRUE(bad("\"model_type\":\"llama\",", "", "model_type: is missing"));
  EXPECT_TRUE(
      bad("\"torch_dtype\":\"float32\"", R"("rope_scaling":{"type":"linear"})", "rope_scaling.factor: is missing"));
  EXPECT_TRUE(bad("{", "", "config.json: not readable JSON"));
}

TEST_F(Refuses, AFolderWithoutConfiguration) {
  tiny_.write(folder_.path());
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_TRUE(fails_with(LanguageModel::open(folder_.path(), diagnostics_), Code::not_found, "config.json"));
}

TEST_F(Refuses, NaNWhenTheWeightIsLoaded) {
  tiny_.weights["model.layers.1.mlp.up_proj.weight"].as<float>()[49] = NAN;
  auto model = open_files();
  ASSERT_TRUE(model) << model.error().text();
  EXPECT_TRUE(fails_with(model->export_method(Method::decode, {.context = 8, .chunk = 1}), Code::model,
                         "tensor model.layers.1.mlp.up_proj.weight: element [1, 1] is NaN"));
}

TEST_F(Refuses, NothingAboutKeysThatChangeNothing) {
  ASSERT_TRUE(with(R"("use_cache":true,"rope_scaling":null,"logit_scale":1.0,"transformers_version":"5.0")"));
  EXPECT_TRUE(diagnostics_.notes().empty());
  ASSERT_TRUE(with(R"("surprise":1)"));
  ASSERT_EQ(diagnostics_.notes().size(), 1u);
  EXPECT_NE(diagnostics_.notes()[0].text().find("key surprise is not known"), std::string::npos);
}

TEST_F(Refuses, GgufKeysThatChangeTheComputation) {
  Gguf file;
  file.key("general.architecture", "llama");
  for (const char* key :
       {"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "vocab_size"})
    file.key<uint32_t>(std::string("llama.") + key, Gguf::u32, 2);
  file.key<uint32_t>("llama.attention.key_length", Gguf::u32, 4);
  Gguf experts = file, rotated = file, clamped = file;
  experts.key<uint32_t>("llama.expert_count", Gguf::u32, 8);
  EXPECT_TRUE(fails_with(open_gguf(experts.bytes()), Code::unsupported, "llama.expert_count: 8 changes"));
  rotated.key<uint32_t>("llama.rope.dimension_count", Gguf::u32, 2);
  EXPECT_TRUE(
      fails_with(open_gguf(rotated.bytes()), Code::unsupported, "llama.rope.dimension_count: 2, but heads have 4"));
  clamped.key<float>("llama.attention.clamp_kqv", Gguf::f32, 1);
  EXPECT_TRUE(fails_with(open_gguf(clamped.bytes()), Code::unsupported, "llama.attention.clamp_kqv changes"));
}

TEST(Config, AssumesWhatHuggingFaceAssumes) {
  TinyModel tiny{.architecture = "mistral", .kv_heads = 4};
  tiny.make();
  const TempFolder folder;
  tiny.write(folder.path());
  folder.write("config.json",
               R"({"model_type":"mistral","hidden_size":48,"intermediate_size":40,"num_hidden_layers":2,)"
               R"("num_attention_heads":4,"num_key_value_heads":null,"vocab_size":32,"eos_token_id":[2,3]})");
  const LanguageModel model = open(folder.path());
  const Config& config = model.config();
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 12);
  EXPECT_EQ(config.windows, (std::vector<int64_t>{4096, 4096}));
  EXPECT_EQ(config.max_positions, 131072);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.eos, (std::vector<int64_t>{2, 3}));
  EXPECT_FALSE(config.bos);
  EXPECT_FALSE(config.tied);
}

// Damaged files are refused or opened, never worse.
TEST(Fuzz, ConfigurationAndGguf) {
  TinyModel tiny{.hidden = 8, .inner = 8, .layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 4, .vocabulary = 4};
  tiny.make();
  const TempFolder folder;
  tiny.write(folder.path());
  std::mt19937 random(0);
  const auto damage = [&](const std::string& name, const std::string& good, size_t reach, const std::string& path) {
    for (int round = 0; round < 300; ++round) {
      std::string bad = good;
      for (auto flips = 1 + random() % 3; flips > 0; --flips) bad[random() % reach] = static_cast<char>(random());
      folder.write(name, round % 4 == 0 ? bad.substr(0, random() % bad.size()) : bad);
      Diagnostics diagnostics;
      auto model = LanguageModel::open(path, diagnostics);
      if (model) (void)model->export_method(Method::prefill, {.context = 8, .chunk = 4});
    }
  };
  const std::string config = tiny.config(), file = tiny.gguf();
  damage("w.gguf", file, std::min<size_t>(file.size(), 2048), folder / "w.gguf");
  damage("config.json", config, config.size(), folder.path());
}

}  // namespace
}  // namespace quoin::nn::test
