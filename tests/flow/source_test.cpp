// quantize.source of recipes: imported graphs and language models.
#include "flow/source.hpp"

#include <fstream>

#include "../nn/tiny_model.hpp"
#include "../source/support.hpp"
#include "data/files.hpp"
#include "flow/language.hpp"
#include "program/file.hpp"

namespace quoin::flow {
namespace {

using checkpoint::test::fails_with;
using checkpoint::test::TempFolder;
using nn::test::must;
using nn::test::TinyModel;
using source::test::codes;
using source::test::quantized_weight;
using source::test::random;
using ::testing::HasSubstr;

class ByRecipe : public ::testing::Test {
 protected:
  // The part of a recipe below "quantize:", two spaces deep.
  recipe::Recipe recipe(const std::string& quantize, const std::string& rest = {}) const {
    return must(recipe::parse("quantize:\n" + quantize + rest, folder_ / "r.yaml"));
  }
  Context& context(const recipe::Recipe& recipe) {
    context_ = must(make_context(recipe, {QUOIN_PLUGIN_FOLDER}, false, notes_));
    return *context_;
  }
  Result<source::Report> quantize(ir::Graph& graph, const recipe::Recipe& recipe) {
    return quantize_source(graph, recipe, context(recipe), nullptr, notes_);
  }
  Result<source::Report> quantize(nn::LanguageModel& model, const recipe::Recipe& recipe) {
    return quantize_source(model, folder_.path(), recipe, context(recipe), nullptr, notes_);
  }
  bool noted(const std::string& part) const {
    for (const Note& note : notes_.notes())
      if (note.text().find(part) != std::string::npos) return true;
    return false;
  }
  TempFolder folder_;
  Diagnostics notes_;
  std::unique_ptr<Context> context_;
};

// -- graphs

class GraphByRecipe : public ByRecipe {
 protected:
  static constexpr int64_t kSamples = 6, kTokens = 8, kFeatures = 32;
  GraphByRecipe() {
    const auto x = net_.input({kTokens, kFeatures});
    const auto hidden = net_.node("aten.gelu.default", {net_.linear(x, "first", random({kFeatures, kFeatures}, 1))});
    net_.returns({net_.linear(hidden, "head", random({8, kFeatures}, 2))});
    samples_ = source::test::correlated(kSamples * kTokens, kFeatures, 3).reshaped({kSamples, kTokens, kFeatures});
  }
  std::string data() const {
    const std::string path = folder_ / "samples.safetensors";
    EXPECT_TRUE(data::write_safetensors(path, {{"x", samples_}}));
    return path;
  }
  // What quantizers give without a recipe, for samples first .. first + count - 1.
  ir::Graph direct(source::LayerConfig config, int64_t first, int64_t count) {
    std::vector<source::Sample> samples;
    const auto size = static_cast<size_t>(kTokens * kFeatures);
    for (int64_t i = first; i < first + count; ++i)
      samples.push_back({Tensor::of<float>(DType::f32, {kTokens, kFeatures},
                                           samples_.as<float>().subspan(static_cast<size_t>(i) * size, size))});
    ir::Graph graph = net_.graph;
    must(source::Quantizer({source::test::rule(config)})
             .quantize(graph, {samples}, {nn::test::host(), notes_, &nn::test::portable()}));
    return graph;
  }
  source::test::Net net_;
  Tensor samples_;
};

TEST_F(GraphByRecipe, RulesDecideByModule) {
  const recipe::Recipe with = recipe(R"(
  source:
    rules:
      - {quantizer: weight-only, params: {bits: 4, group: 16, algorithm: clip_search}}
      - {module: head, quantizer: null})");
  ir::Graph graph = net_.graph;
  const source::Report report = must(quantize(graph, with));
  ASSERT_EQ(report.lines.size(), 2u);
  EXPECT_EQ(report.lines[0].algorithm, "clip_search");
  EXPECT_THAT(report.lines[0].rule, HasSubstr("r.yaml:5:9"));
  EXPECT_EQ(report.lines[1].reason, "left in float by the rule");
  const auto found = quantized_weight(graph, "first"),
             wanted =
                 quantized_weight(direct(source::test::weights(4, 16, source::Algorithm::clip_search), 0, 0), "first");
  EXPECT_EQ(codes(found.codes), codes(wanted.codes));
}

TEST_F(GraphByRecipe, NothingHappensWithoutRules) {
  const std::string before = ir::print(net_.graph);
  EXPECT_TRUE(must(quantize(net_.graph, recipe("  quantizers: []"))).lines.empty());
  EXPECT_EQ(ir::print(net_.graph), before);
}

TEST_F(GraphByRecipe, SamplesComeFromTheFileOfTheRecipe) {
  const auto config = source::test::weights(3, 16, source::Algorithm::gptq);
  const auto found = [&](const std::string& which) {
    ir::Graph graph = net_.graph;
    must(quantize(graph, recipe(R"(
  source:
    rules: [{quantizer: weight-only, params: {bits: 3, group: 16, algorithm: gptq}}]
    calibrate: {data: )" + data() +
                                which + "}")));
    return codes(quantized_weight(graph, "head").codes);
  };
  const auto wanted = [&](int64_t first, int64_t count) {
    return codes(quantized_weight(direct(config, first, count), "head").codes);
  };
  EXPECT_EQ(found(""), wanted(0, kSamples));
  EXPECT_EQ(found(", samples: 2"), wanted(0, 2));
  EXPECT_EQ(found(", first: 4"), wanted(4, 2));
  EXPECT_EQ(found(", first: 1, samples: 3"), wanted(1, 3));
  EXPECT_NE(wanted(1, 3), wanted(0, 2));
}

// The line of /proc/self/maps about an address.
std::string mapping_of(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t from = 0, to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &from, &to) != 2) continue;
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (from <= at && at < to) return line;
  }
  return {};
}

TEST_F(GraphByRecipe, CodesLieOnDisk) {
  must(quantize(net_.graph, recipe("  source: {rules: [{quantizer: weight-only}]}")));
  const auto weight = quantized_weight(net_.graph, "first");
  EXPECT_THAT(mapping_of(weight.codes.data()), HasSubstr("(deleted)")) << "a file without a name";
  const auto before = codes(weight.codes);
  context_->spill->let_go();
  EXPECT_EQ(codes(weight.codes), before);
  context_.reset();
  EXPECT_EQ(codes(weight.codes), before) << "they outlive the context";
}

TEST_F(GraphByRecipe, MistakesAreNamed) {
  const auto refused = [&](const std::string& source, Code code, const std::string& part) {
    EXPECT_TRUE(fails_with(quantize(net_.graph, recipe("  source:\n" + source)), code, part)) << source;
  };
  const std::string gptq = "    rules: [{quantizer: weight-only, params: {algorithm: gptq}}]\n",
                    plain = "    rules: [{quantizer: weight-only}]\n", file = "    calibrate: {data: " + data();
  refused("    rules: [{quantizer: weights-only}]\n", Code::recipe, "r.yaml:3:13: no quantizer \"weights-only\"");
  refused("    rules: [{quantizer: weight-only, params: {groups: 3}}]\n", Code::recipe,
          "r.yaml:3:13: weight-only has no");
  refused("    rules: [{module: head, quantizer: null, params: {bits: 4}}]\n", Code::recipe,
          "params without a quantizer: the layer stays in float");
  refused("    rules: [{module: haed, quantizer: weight-only}]\n", Code::recipe, "did you mean \"head\"?");
  refused(gptq, Code::recipe, "gptq needs calibration samples");
  refused(plain + file + "}\n", Code::recipe, "no rule makes use of samples");
  refused(gptq + "    calibrate: {samples: 4}\n", Code::recipe, "and has no data");
  refused(gptq + file + ", tensor: x}\n", Code::recipe, "calibrate.tensor is about token ids");
  refused(gptq + file + ", first: 6}\n", Code::data, "samples 6 to 7 are asked for, there are 6");
  refused(gptq + file + ", first: 1, samples: 6}\n", Code::data, "samples 1 to 7 are asked for, there are 6");
  refused(gptq + file + ", mask: y}\n", Code::recipe, "the model has no input \"y\" to mask tokens");
  refused(gptq + "    calibrate: {data: /nowhere.safetensors}\n", Code::not_found, "/nowhere.safetensors");
}

// -- language models

class LanguageByRecipe : public ByRecipe {
 protected:
  static constexpr int64_t kTokens = 12, kRows = 5;
  LanguageByRecipe() {
    tiny_.make();
    tiny_.write(folder_.path());
  }
  nn::LanguageModel model() const { return nn::test::open(folder_.path()); }
  // Token ids [rows, tokens] in a file of their own.
  std::string ids(int64_t rows = kRows, int64_t tokens = kTokens, int64_t vocabulary = 32) const {
    std::mt19937 engine(5);
    Tensor out(DType::s64, {rows, tokens});
    for (int64_t& id : out.as<int64_t>()) id = static_cast<int64_t>(engine() % static_cast<uint32_t>(vocabulary));
    const std::string path = folder_ / fmt::format("ids{}x{}_{}.safetensors", rows, tokens, vocabulary);
    EXPECT_TRUE(data::write_safetensors(path, {{"ids", out}}));
    return path;
  }
  static std::string gptq(const std::string& calibrate) {
    return "  source:\n    rules: [{quantizer: int8-dynamic-int4-weight, params: {group: 16, algorithm: gptq}}]\n"
           "    calibrate: {" +
           calibrate + "}\n";
  }
  static checkpoint::Quantized up_proj(nn::LanguageModel& model) {
    checkpoint::Quantized out;
    nn::visit(model.root(), [&](nn::Module& module) {
      for (nn::Parameter* parameter : module.parameters())
        if (parameter->name == "model.layers.1.mlp.up_proj.weight") out = *parameter->quantized;
    });
    return out;
  }
  std::vector<int64_t> codes_by(const std::string& quantize_part, const std::string& rest = {}) {
    nn::LanguageModel tree = model();
    must(quantize(tree, recipe(quantize_part, rest)));
    return codes(up_proj(tree).codes);
  }
  TinyModel tiny_;
};

TEST_F(LanguageByRecipe, CalibratesWithTokenIds) {
  const auto all = codes_by(gptq("data: " + ids())), some = codes_by(gptq("data: " + ids() + ", first: 2, samples: 2"));
  const auto plain = codes_by("  source: {rules: [{quantizer: int8-dynamic-int4-weight, params: {group: 16}}]}");
  EXPECT_NE(all, plain);
  EXPECT_NE(all, some);
  nn::LanguageModel tree = model();
  const source::Report report = must(quantize(tree, recipe(gptq("data: " + ids() + ", tensor: ids"))));
  EXPECT_EQ(codes(up_proj(tree).codes), all);
  EXPECT_EQ(report.lines.size(), 1u + 2 * 7 + 1);
  EXPECT_EQ(report.lines[0].reason, "no rule is about it");
  EXPECT_THAT(mapping_of(up_proj(tree).codes.data()), HasSubstr("(deleted)"));
}

TEST_F(LanguageByRecipe, LongRowsAreCutIntoSamplesOfTheContext) {
  const std::string sizes = "model: {language: {context: 6}}\n";
  const auto cut = codes_by(gptq("data: " + ids(1, 45)), sizes);
  EXPECT_TRUE(noted("cut into 7 samples of 6 tokens; 3 tokens are left over"));
  Tensor rows(DType::s64, {7, 6});
  const Tensor row = must(data::read_safetensors(ids(1, 45))).at("ids");
  std::copy_n(row.as<int64_t>().begin(), 42, rows.as<int64_t>().begin());
  EXPECT_TRUE(data::write_safetensors(folder_ / "rows.safetensors", {{"ids", rows}}));
  EXPECT_EQ(cut, codes_by(gptq("data: " + (folder_ / "rows.safetensors")), sizes));
  EXPECT_NE(cut, codes_by(gptq("data: " + ids(1, 45))));
}

TEST_F(LanguageByRecipe, MistakesInTheTextAreNamed) {
  nn::LanguageModel tree = model();
  const auto refused = [&](const std::string& calibrate, Code code, const std::string& part) {
    EXPECT_TRUE(fails_with(quantize(tree, recipe(gptq(calibrate))), code, part)) << calibrate;
  };
  refused("data: " + folder_.write("story.txt", "Once upon a time"), Code::usage, "a text needs a tokenizer");
  refused("data: " + ids(2, 8, 40), Code::data, "the vocabulary has 32");
  refused("data: " + ids() + ", tensor: stories", Code::data, "no tensor \"stories\"");
  refused("data: " + ids() + ", first: 5", Code::data, "samples 5 to 6 are asked for, there are 5");
  refused("data: " + ids() + ", mask: attention_mask", Code::recipe, "have no input that masks tokens");
  refused("tensor: ids", Code::recipe, "and has no data");
}

// -- the whole flow

class LanguageFlow : public LanguageByRecipe {
 protected:
  Result<Quantized> run(const recipe::Recipe& recipe) {
    return flow::quantize(folder_.path(), recipe, context(recipe), nullptr, notes_);
  }
};

TEST_F(LanguageFlow, TheProgramComputesWhatTheQuantizedModelDoes) {
  const recipe::Recipe with = recipe(gptq("data: " + ids()), "model: {language: {context: 32, chunk: 8}}\n");
  const std::vector<int64_t> tokens{3, 14, 15, 9, 26};
  nn::LanguageModel tree = model();
  must(quantize(tree, with));
  const Tensor wanted = nn::test::runner(tree, nn::Method::score, {.context = 32, .chunk = 5})(tokens);
  Quantized made = must(run(with));
  EXPECT_EQ(made.lowered.model.metadata.at("recipe"), with.resolved);
  EXPECT_EQ(made.layers.lines.size(), 16u);
  const std::string path = folder_ / "tiny.quoin";
  ASSERT_TRUE(program::write(path, made.lowered.model));
  runtime::Executable executable = must(open_model(path, with, *context_, notes_));
  ASSERT_EQ(executable.methods(), 3u);
  const Tensor input = Tensor::of<int64_t>(DType::s64, {5}, tokens),
               positions = Tensor::of<int64_t>(DType::s64, {5}, std::vector<int64_t>{0, 1, 2, 3, 4});
  const Tensor found = must(executable.run(*executable.method("score"), std::vector<Tensor>{input, positions}))[0];
  EXPECT_EQ(nn::test::difference(found, wanted), 0);
}

TEST_F(LanguageFlow, WithoutRulesTheProgramIsFloat) {
  const Quantized made = must(run(recipe("  source: {rules: []}")));
  EXPECT_TRUE(made.layers.lines.empty());
  for (const lower::Placement& row : made.lowered.placement) EXPECT_FALSE(row.integer);
}

TEST_F(LanguageFlow, KeysOfOtherModelsAreRefused) {
  const auto refused = [&](const std::string& quantize_part, const std::string& rest, const std::string& part) {
    EXPECT_TRUE(fails_with(run(recipe(quantize_part, rest)), Code::recipe, "language models do not take " + part));
  };
  refused("  quantizers: [{plugin: cpu}]\n", "", "quantize.quantizers");
  refused("  passes: [decompose-hardswish]\n", "", "quantize.passes");
  refused("  calibrate: {data: " + ids() + "}\n", "", "quantize.calibrate");
  refused("  source: {rules: []}\n", "model: {dims: {n: 3}}\n", "model.dims");
}

TEST_F(LanguageFlow, SizesThatTheModelCannotHaveAreRefused) {
  const auto result = run(recipe("  source: {rules: []}\n", "model: {language: {context: 65}}\n"));
  EXPECT_TRUE(fails_with(result, Code::input, "context of 65 positions, the model has 1..64"));
}

}  // namespace
}  // namespace quoin::flow
